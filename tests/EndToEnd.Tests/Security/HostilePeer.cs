using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>A peer that completes TLS with whatever certificate it has and then says what a test wants; frames are laid out by hand, not by the code under attack.</summary>
internal sealed class HostilePeer : IDisposable
{
    public const string LinkProtocol = "lamina-link/1", ControlProtocol = "lamina-akka/1";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private HostilePeer(Socket socket, SslStream tls)
    {
        Socket = socket;
        Tls = tls;
    }

    public Socket Socket { get; }

    public SslStream Tls { get; }

    /// <summary>What a refused peer sees, depending on where it was refused.</summary>
    public static bool IsEnd(Exception e) => e is IOException or SocketException or AuthenticationException or ObjectDisposedException;

    public static async Task<Socket> ConnectAsync(IPEndPoint port, int? receiveBuffer = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (receiveBuffer is { } bytes)
        {
            socket.ReceiveBufferSize = bytes;
        }

        await socket.ConnectAsync(port).WaitAsync(s_patience);
        return socket;
    }

    public static async Task<HostilePeer> AuthenticateAsync(IPEndPoint port, X509Certificate2? certificate, string protocol, int? receiveBuffer = null)
    {
        Socket socket = await ConnectAsync(port, receiveBuffer);
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = port.Address.ToString(),
                EnabledSslProtocols = SslProtocols.Tls13,
                ClientCertificates = certificate is null ? null : [certificate],
                RemoteCertificateValidationCallback = (_, _, _, _) => true,
                ApplicationProtocols = [new SslApplicationProtocol(protocol)],
            }).WaitAsync(s_patience);
            return new HostilePeer(socket, tls);
        }
        catch
        {
            tls.Dispose();
            throw;
        }
    }

    public static X509Certificate2 Certificate(CertificateFiles files)
    {
        using X509Certificate2 pem = X509Certificate2.CreateFromPemFile(files.CertificatePath, files.KeyPath);
        return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null);
    }

    public Task SendAsync(byte[] bytes) => Tls.WriteAsync(bytes).AsTask().WaitAsync(s_patience);

    /// <summary>Reads, and drops, until the other side has ended the connection.</summary>
    public async Task ReadToEndAsync()
    {
        byte[] bytes = new byte[16 * 1024];
        try
        {
            while (await Tls.ReadAsync(bytes).AsTask().WaitAsync(s_patience) > 0)
            {
            }
        }
        catch (Exception e) when (IsEnd(e))
        {
        }
    }

    /// <summary>A link's frame: length u32, kind u8, flags and reserved u24, epoch i32, step i32, little-endian; then the payload.</summary>
    public static byte[] Frame(int kind, ReadOnlySpan<byte> payload = default, int epoch = 0, int step = 0, uint? length = null)
    {
        byte[] frame = new byte[16 + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, length ?? (uint)payload.Length);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(4), kind);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(8), epoch);
        BinaryPrimitives.WriteInt32LittleEndian(frame.AsSpan(12), step);
        payload.CopyTo(frame.AsSpan(16));
        return frame;
    }

    public static byte[] Hello(LinkHello hello) => Frame((int)FrameKind.Hello, Wire.Encode(hello));

    /// <summary>One whole frame, header and payload.</summary>
    public static async Task<byte[]> ReadFrameAsync(Stream stream, CancellationToken cancellation = default)
    {
        byte[] header = new byte[16];
        await stream.ReadExactlyAsync(header, cancellation).AsTask().WaitAsync(s_patience, cancellation);
        byte[] frame = new byte[16 + BinaryPrimitives.ReadInt32LittleEndian(header)];
        header.CopyTo(frame, 0);
        await stream.ReadExactlyAsync(frame.AsMemory(16), cancellation).AsTask().WaitAsync(s_patience, cancellation);
        return frame;
    }

    /// <summary>The reason for which a hello was refused; fails when it was accepted.</summary>
    public static async Task<string> RefusalAsync(IPEndPoint port, X509Certificate2 certificate, LinkHello hello)
    {
        using HostilePeer peer = await AuthenticateAsync(port, certificate, LinkProtocol);
        await peer.SendAsync(Hello(hello));
        byte[] answer = await ReadFrameAsync(peer.Tls);
        Assert.Equal((byte)FrameKind.HelloRefused, answer[4]);
        return Encoding.UTF8.GetString(answer.AsSpan(16));
    }

    public static async Task<HostilePeer> OpenLinkAsync(IPEndPoint port, X509Certificate2 certificate, LinkHello hello, int? receiveBuffer = null)
    {
        HostilePeer peer = await AuthenticateAsync(port, certificate, LinkProtocol, receiveBuffer);
        await peer.SendAsync(Hello(hello));
        byte[] answer = await ReadFrameAsync(peer.Tls);
        Assert.Equal((byte)FrameKind.HelloAccepted, answer[4]);
        return peer;
    }

    /// <summary>A unit on the control port: length i32, little-endian, and the bytes.</summary>
    public static byte[] Unit(byte[] bytes)
    {
        byte[] unit = new byte[4 + bytes.Length];
        BinaryPrimitives.WriteInt32LittleEndian(unit, bytes.Length);
        bytes.CopyTo(unit, 4);
        return unit;
    }

    public async Task<byte[]> ReadUnitAsync()
    {
        byte[] length = new byte[4];
        await Tls.ReadExactlyAsync(length).AsTask().WaitAsync(s_patience);
        byte[] unit = new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
        await Tls.ReadExactlyAsync(unit).AsTask().WaitAsync(s_patience);
        return unit;
    }

    /// <summary>
    /// Opens an association as an honest node would, up to and including Akka's ASSOCIATE and its answer. <paramref name="home"/> answers when it is dialled back. Where the port still has as many of this
    /// peer's connections as one may have, it is tried again.
    /// </summary>
    public static async Task<HostilePeer> AssociateAsync(IPEndPoint port, X509Certificate2 certificate, TenantId tenant, string name, Endpoint home, Endpoint target)
    {
        HostilePeer peer = null!;
        await Eventually.TrueAsync(
            async () =>
            {
                peer = await AuthenticateAsync(port, certificate, ControlProtocol);
                await peer.SendAsync(Unit(Wire.Encode(new Opening(Opening.CurrentVersion, OpeningPurpose.Associate, tenant, name, $"cell-{tenant}", home, target))));
                string refusal = Wire.Decode<OpeningAnswer>((await peer.ReadUnitAsync()).AsMemory()).Refusal;
                if (refusal.Length > 0)
                {
                    peer.Dispose();
                    Assert.Contains("the most that one peer may have", refusal, StringComparison.Ordinal);
                }

                return refusal.Length == 0;
            },
            s_patience, "the port never had room for this peer");

        // AkkaProtocolMessage { instruction = 2: { commandType = 1: ASSOCIATE, handshakeInfo = 2: { origin = 1: { system = 1, hostname = 2, port = 3, protocol = 4 }, uid = 2 } } }
        byte[] origin = [.. Field(1, $"cell-{tenant}"), .. Field(2, home.Host), 0x18, .. Varint((ulong)home.Port), .. Field(4, "akka.mtls")];
        await peer.SendAsync(Unit(Field(2, [0x08, 0x01, .. Field(2, [.. Field(1, origin), 0x11, 1, 2, 3, 4, 5, 6, 7, 8])])));
        await peer.ReadUnitAsync();
        return peer;
    }

    /// <summary>
    /// A message in Akka's envelope: AkkaProtocolMessage { payload = 1: AckAndEnvelopeContainer { envelope = 2: RemoteEnvelope { recipient = 1: { path = 1 }, message = 2: { message = 1, serializerId = 2,
    /// manifest = 3 }, sender = 4: { path = 1 } } } }.
    /// </summary>
    public static byte[] Message(string recipient, string sender, int serializer, string manifest, byte[] content)
    {
        byte[] payload = [.. Field(1, content), 0x10, .. Varint((ulong)serializer), .. manifest.Length == 0 ? [] : Field(3, manifest)];
        return Field(1, Field(2, [.. Field(1, Field(1, recipient)), .. Field(2, payload), .. Field(4, Field(1, sender))]));
    }

    public void Dispose() => Tls.Dispose();

    private static byte[] Field(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    private static byte[] Field(int number, byte[] bytes) => [(byte)((number << 3) | 2), .. Varint((ulong)bytes.Length), .. bytes];

    private static byte[] Varint(ulong value)
    {
        List<byte> bytes = [];
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return [.. bytes];
    }
}
