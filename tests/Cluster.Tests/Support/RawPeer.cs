using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Tests.Support;

/// <summary>A peer that speaks TLS and frames as badly as a test wants.</summary>
internal sealed class RawPeer : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private RawPeer(Socket socket, SslStream ssl)
    {
        Socket = socket;
        Ssl = ssl;
    }

    public Socket Socket { get; }

    public SslStream Ssl { get; }

    public static async Task<Socket> ConnectAsync(Cluster.Messages.Endpoint endpoint)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(endpoint.Host, endpoint.Port);
        return socket;
    }

    /// <summary>Completes TLS as far as this side can tell, showing <paramref name="certificate"/>, or none.</summary>
    public static async Task<RawPeer> AuthenticateAsync(Cluster.Messages.Endpoint endpoint, X509Certificate2? certificate, string protocol = "lamina-link/1", SslProtocols tls = SslProtocols.Tls13, string serverName = "localhost")
    {
        Socket socket = await ConnectAsync(endpoint);
        SslStream ssl = new(new NetworkStream(socket, ownsSocket: true));
        try
        {
            await ssl.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = serverName,
                EnabledSslProtocols = tls,
                ClientCertificates = certificate is null ? [] : [certificate],
                LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate!,
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
                ApplicationProtocols = protocol.Length == 0 ? null : [new SslApplicationProtocol(protocol)],
            }).WaitAsync(s_patience);
        }
        catch
        {
            ssl.Dispose();
            throw;
        }

        return new RawPeer(socket, ssl);
    }

    /// <summary>Up to and including a hello that was accepted.</summary>
    public static async Task<RawPeer> SayHelloAsync(LinkPair pair, string name = "a")
    {
        RawPeer peer = await AuthenticateAsync(pair.Listener.Endpoint, pair.Cell.Leaf(uris: [$"spiffe://test.lamina/tenant/acme/node/{name}"]));
        await peer.SendAsync(FrameKind.Hello, Wire.Encode(LinkPair.HelloOf(name)));
        Assert.Equal(FrameKind.HelloAccepted, (await peer.ReadAsync()).Kind);
        return peer;
    }

    public Task SendAsync(FrameKind kind, byte[] payload, uint? length = null, int step = 0)
    {
        byte[] frame = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(length ?? (uint)payload.Length, kind, 0, step).Write(frame);
        payload.CopyTo(frame, FrameHeader.Size);
        return SendBytesAsync(frame);
    }

    public async Task SendBytesAsync(byte[] bytes) => await Ssl.WriteAsync(bytes).AsTask().WaitAsync(s_patience);

    public async Task<Frame> ReadAsync()
    {
        byte[] header = new byte[FrameHeader.Size];
        await Ssl.ReadExactlyAsync(header).AsTask().WaitAsync(s_patience);
        byte[] payload = new byte[BinaryPrimitives.ReadInt32LittleEndian(header)];
        await Ssl.ReadExactlyAsync(payload).AsTask().WaitAsync(s_patience);
        return FrameHeader.TryRead(header, out FrameHeader h) ? new Frame(h.Kind, h.Epoch, h.Step, payload) : throw new InvalidDataException("no frame");
    }

    /// <summary>Whether the other side ends the connection, whatever it sends before.</summary>
    public async Task<bool> IsCutAsync()
    {
        byte[] bytes = new byte[4096];
        try
        {
            while (await Ssl.ReadAsync(bytes).AsTask().WaitAsync(s_patience) > 0)
            {
            }
        }
        catch (IOException)
        {
        }

        return true;
    }

    public void Dispose() => Ssl.Dispose();
}
