using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Cells;

/// <summary>Which of a process' two ports.</summary>
public enum PortKind { Control, Link }

/// <summary>What a probe says it is once TLS stands; whatever it likes.</summary>
/// <param name="Target">The stage that a link claims to be for.</param>
public sealed record CrossingClaim(TenantId Tenant, string Name, Endpoint Origin, LinkPurpose Purpose, StageAddress Target);

public enum CrossingOutcome
{
    /// <summary>The port did not let it in.</summary>
    Refused,

    /// <summary>No connection came about at all.</summary>
    Unreachable,

    /// <summary>It was let in.</summary>
    Entered,
}

/// <summary>
/// Tries to get into a port of a cell with whatever certificate and claims, as an intruder would: the server's own certificate is not checked, and a well-formed opening
/// follows the handshake, because with TLS 1.3 only an answer shows that the other side let one in.
/// </summary>
public static class CrossingProbe
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(8);

    /// <param name="certificate">Null shows none.</param>
    public static async Task<(CrossingOutcome Outcome, string Detail)> TryAsync(Endpoint port, PortKind kind, X509Certificate2? certificate, CrossingClaim claim, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(port.Host, port.Port, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return (CrossingOutcome.Unreachable, e is SocketException ? e.Message : $"no connection within {s_patience.TotalSeconds} s");
        }

        try
        {
            using var tls = new SslStream(new NetworkStream(socket));
            await tls.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = port.Host,
                    EnabledSslProtocols = SslProtocols.Tls13,
                    ApplicationProtocols = [kind == PortKind.Link ? LinkHandshake.Protocol : MtlsConnection.Protocol],
                    ClientCertificates = certificate is null ? null : [certificate],
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
                },
                deadline.Token).ConfigureAwait(false);
            return kind == PortKind.Link ? await SayHelloAsync(tls, claim, deadline.Token).ConfigureAwait(false) : await OpenAsync(tls, port, claim, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is AuthenticationException or IOException or InvalidDataException)
        {
            return (CrossingOutcome.Refused, e is EndOfStreamException ? "closed without an answer" : LinkText.Describe(e));
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return (CrossingOutcome.Refused, $"no answer within {s_patience.TotalSeconds} s");
        }
    }

    private static async Task<(CrossingOutcome, string)> SayHelloAsync(SslStream tls, CrossingClaim claim, CancellationToken cancellation)
    {
        byte[] hello = Wire.Encode(new LinkHello(LinkHello.CurrentVersion, claim.Purpose, claim.Tenant, claim.Name, claim.Target));
        byte[] frame = new byte[FrameHeader.Size + hello.Length];
        new FrameHeader((uint)hello.Length, FrameKind.Hello, 0, 0).Write(frame);
        hello.CopyTo(frame, FrameHeader.Size);
        await tls.WriteAsync(frame, cancellation).ConfigureAwait(false);
        byte[] header = new byte[FrameHeader.Size];
        await tls.ReadExactlyAsync(header, cancellation).ConfigureAwait(false);
        if (!FrameHeader.TryRead(header, out FrameHeader answer) || answer.Kind != FrameKind.HelloRefused || answer.Length > LinkText.MaxBytes)
        {
            return (CrossingOutcome.Entered, $"the port answered with a {answer.Kind} frame");
        }

        byte[] text = new byte[answer.Length];
        await tls.ReadExactlyAsync(text, cancellation).ConfigureAwait(false);
        return (CrossingOutcome.Refused, LinkText.Decode(text));
    }

    private static async Task<(CrossingOutcome, string)> OpenAsync(SslStream tls, Endpoint port, CrossingClaim claim, CancellationToken cancellation)
    {
        byte[] opening = Wire.Encode(new Opening(Opening.CurrentVersion, OpeningPurpose.Associate, claim.Tenant, claim.Name, $"cell-{claim.Tenant}", claim.Origin, port));
        byte[] frame = new byte[sizeof(int) + opening.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, opening.Length);
        opening.CopyTo(frame, sizeof(int));
        await tls.WriteAsync(frame, cancellation).ConfigureAwait(false);
        byte[] length = new byte[sizeof(int)];
        await tls.ReadExactlyAsync(length, cancellation).ConfigureAwait(false);
        byte[] answer = new byte[Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(length), 0, Opening.MaxBytes)];
        await tls.ReadExactlyAsync(answer, cancellation).ConfigureAwait(false);
        string refusal = Wire.Decode<OpeningAnswer>(answer.AsMemory()).Refusal;
        return refusal.Length > 0 ? (CrossingOutcome.Refused, LinkText.Clean(refusal)) : (CrossingOutcome.Entered, "the port accepted the opening");
    }
}
