using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Cells;

/// <summary>Connects to this process' own ports as a stranger would. A process whose port lets a stranger in must not run.</summary>
public static class SelfTest
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>Tests a link port; the control port is tested by <see cref="CellSystem.StartAsync"/>. Throws <see cref="InvalidDataException"/> when a stranger is let in.</summary>
    public static Task RequireRefusalAsync(LinkListener listener, LinkOptions options, CertificateProvider certificates, CancellationToken cancellation)
    {
        listener.ExpectStranger();
        return RequireRefusalAsync(options.BindAddress, listener.Endpoint.Port, certificates, LinkHandshake.Protocol, cancellation);
    }

    internal static Task RequireRefusalAsync(string bindAddress, int port, CertificateProvider certificates, CancellationToken cancellation) =>
        RequireRefusalAsync(bindAddress, port, certificates, MtlsConnection.Protocol, cancellation);

    internal static async Task RequireRefusalAsync(string bindAddress, int port, CertificateProvider certificates, SslApplicationProtocol protocol, CancellationToken cancellation)
    {
        string host = bindAddress is "0.0.0.0" ? "127.0.0.1" : bindAddress is "::" ? "::1" : bindAddress;
        long before = certificates.Refusals(RefusalReason.NoCertificate);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_patience);
        string? problem = null;
        try
        {
            // The end of a connection alone could have another cause, such as a machine too busy to answer in time: then it is tried again.
            while (certificates.Refusals(RefusalReason.NoCertificate) == before)
            {
                try
                {
                    if (await IsLetInAsync(host, port, protocol, deadline.Token).ConfigureAwait(false))
                    {
                        throw new InvalidDataException($"port {port} let a connection without a certificate in: refusing to run");
                    }
                }
                catch (SocketException e)
                {
                    problem = $"the own port {host}:{port} cannot be reached: {e.Message}";
                }

                for (int i = 0; i < 100 && certificates.Refusals(RefusalReason.NoCertificate) == before; i++)
                {
                    await Task.Delay(5, deadline.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new InvalidDataException(problem ?? $"port {port} did not refuse a connection without a certificate within {s_patience.TotalSeconds} s: refusing to run");
        }
    }

    /// <summary>With TLS 1.3 the client's side of the handshake succeeds before the server has judged: only a byte read, or the end of the stream, tells.</summary>
    private static async Task<bool> IsLetInAsync(string host, int port, SslApplicationProtocol protocol, CancellationToken cancellation)
    {
        try
        {
            using Socket socket = new(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(host, port, cancellation).ConfigureAwait(false);
            using SslStream stream = new(new NetworkStream(socket));
            await stream.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = host,
                    EnabledSslProtocols = SslProtocols.Tls13,
                    ApplicationProtocols = [protocol],

                    // The stranger does not care who answers; it only wants in.
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
                },
                cancellation).ConfigureAwait(false);
            return await stream.ReadAsync(new byte[1], cancellation).ConfigureAwait(false) > 0;
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
            return false;
        }
    }
}
