using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
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

/// <summary>What became of an attempt.</summary>
/// <param name="Server">Whom the port's own certificate names, believed unchecked; null where it showed none that names a peer.</param>
/// <param name="Answered">Whether the port took the certificate and answered in the cell's own words, be it with a refusal.</param>
/// <param name="NoSuchHost">Whether the address names nobody, so that nothing was tried.</param>
public sealed record CrossingAttempt(CrossingOutcome Outcome, string Detail, PeerIdentity? Server = null, bool Answered = false, bool NoSuchHost = false);

/// <summary>
/// Tries to get into a port of a cell with whatever certificate and claims, as an intruder would: the server's own certificate is not checked, and a well-formed opening
/// follows the handshake, because with TLS 1.3 only an answer shows that the other side let one in.
/// </summary>
public static class CrossingProbe
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(8);

    /// <param name="certificate">Null shows none.</param>
    public static async Task<CrossingAttempt> TryAsync(Endpoint port, PortKind kind, X509Certificate2? certificate, CrossingClaim claim, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        IPAddress[] addresses;
        try
        {
            addresses = await Dns.GetHostAddressesAsync(port.Host, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return new CrossingAttempt(CrossingOutcome.Unreachable, $"'{port.Host}' is not the name of a machine here", NoSuchHost: true);
        }

        try
        {
            await socket.ConnectAsync(addresses, port.Port, deadline.Token).ConfigureAwait(false);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Somebody took the connection, and dropped it at once.
            return new CrossingAttempt(CrossingOutcome.Refused, e.Message);
        }
        catch (Exception e) when (e is SocketException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return new CrossingAttempt(CrossingOutcome.Unreachable, e is SocketException ? e.Message : $"no connection within {s_patience.TotalSeconds} s");
        }

        PeerIdentity? server = null;
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
                    RemoteCertificateValidationCallback = (_, shown, _, _) =>
                    {
                        server = shown is X509Certificate2 peer && CertificateRules.ReadIdentity(peer, out PeerIdentity? named) is null ? named : null;
                        return true;
                    },
                },
                deadline.Token).ConfigureAwait(false);
            (CrossingOutcome outcome, string detail) = kind == PortKind.Link
                ? await SayHelloAsync(tls, claim, deadline.Token).ConfigureAwait(false)
                : await OpenAsync(tls, port, claim, deadline.Token).ConfigureAwait(false);
            return new CrossingAttempt(outcome, detail, server, Answered: true);
        }
        catch (Exception e) when (e is AuthenticationException or IOException or InvalidDataException)
        {
            return new CrossingAttempt(CrossingOutcome.Refused, e is EndOfStreamException ? "closed without an answer" : LinkText.Describe(e), server);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new CrossingAttempt(CrossingOutcome.Refused, $"no answer within {s_patience.TotalSeconds} s", server);
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
