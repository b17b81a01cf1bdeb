using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>A TLS connection whose peer has been identified, before or without an association.</summary>
internal sealed class MtlsConnection : IDisposable
{
    /// <summary>Keeps Akka's connections and links apart: each port speaks one of them.</summary>
    public static readonly SslApplicationProtocol Protocol = new("lamina-akka/1");

    private readonly PeerHandshake _handshake;
    private readonly CertificateProvider _certificates;

    private MtlsConnection(Socket socket, SslStream stream, PeerHandshake handshake, CertificateProvider certificates)
    {
        _certificates = certificates;
        Socket = socket;
        Stream = stream;
        _handshake = handshake;
    }

    public Socket Socket { get; }

    public SslStream Stream { get; }

    public PeerIdentity Peer => _handshake.Peer!;

    public bool IsDenied => _handshake.IsDenied;

    public void Count(RefusalReason reason) => _certificates.Count(reason, Peer);

    public bool Names(string host) => _handshake.Names(host);

    public static async Task<MtlsConnection> AcceptAsync(Socket socket, CertificateProvider certificates, CancellationToken cancellation)
    {
        PeerHandshake handshake = new(certificates, Protocol, PeerHandshake.AnyRole);
        return await AuthenticateAsync(socket, certificates, handshake, ssl => ssl.AuthenticateAsServerAsync(handshake.ServerOptions(), cancellation)).ConfigureAwait(false);
    }

    /// <summary>Connects and authenticates; the peer's certificate must name the host that was dialled.</summary>
    public static async Task<MtlsConnection> DialAsync(Endpoint endpoint, CertificateProvider certificates, CancellationToken cancellation)
    {
        PeerHandshake handshake = new(certificates, Protocol, PeerHandshake.AnyRole);
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endpoint.Host, endpoint.Port, cancellation).ConfigureAwait(false);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        MtlsConnection connection = await AuthenticateAsync(socket, certificates, handshake, ssl => ssl.AuthenticateAsClientAsync(handshake.ClientOptions(endpoint.Host), cancellation)).ConfigureAwait(false);
        if (!connection.Names(endpoint.Host))
        {
            connection.Dispose();
            certificates.Count(RefusalReason.Address, connection.Peer);
            throw new AuthenticationException($"the certificate of {connection.Peer.Name} does not name host '{endpoint.Host}'");
        }

        return connection;
    }

    public async Task WriteAsync<T>(T message, CancellationToken cancellation)
    {
        byte[] payload = Wire.Encode(message);
        byte[] frame = new byte[sizeof(int) + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, payload.Length);
        payload.CopyTo(frame, sizeof(int));
        await Stream.WriteAsync(frame, cancellation).ConfigureAwait(false);
    }

    public async Task<T> ReadAsync<T>(CancellationToken cancellation)
    {
        byte[] length = new byte[sizeof(int)];
        await Stream.ReadExactlyAsync(length, cancellation).ConfigureAwait(false);
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(length);
        if (size > Opening.MaxBytes)
        {
            throw new InvalidDataException($"{typeof(T).Name} of {size} bytes is over the limit of {Opening.MaxBytes}");
        }

        byte[] payload = new byte[size];
        await Stream.ReadExactlyAsync(payload, cancellation).ConfigureAwait(false);
        return Wire.Decode<T>(payload.AsMemory());
    }

    public void Dispose()
    {
        Stream.Dispose();
        Socket.Dispose();
    }

    private static async Task<MtlsConnection> AuthenticateAsync(Socket socket, CertificateProvider certificates, PeerHandshake handshake, Func<SslStream, Task> authenticate)
    {
        SslStream stream = new(new NetworkStream(socket, ownsSocket: true), leaveInnerStreamOpen: false);
        try
        {
            await authenticate(stream).ConfigureAwait(false);
            handshake.RequireProtocol(stream);
            return new MtlsConnection(socket, stream, handshake, certificates);
        }
        catch (Exception e)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            if (e is OperationCanceledException)
            {
                throw;
            }

            if (handshake.Refusal is null)
            {
                certificates.Count(RefusalReason.Handshake);
            }

            throw new AuthenticationException(handshake.Refusal?.Text ?? LinkText.Describe(e));
        }
    }
}
