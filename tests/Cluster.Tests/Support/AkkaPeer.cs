using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Tests.Support;

/// <summary>A peer on the control port that says what a test wants. Its own listener answers dial-backs, so that an honest origin can be proven.</summary>
internal sealed class AkkaPeer : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private readonly RogueListener _home;
    private readonly RawPeer _raw;

    private AkkaPeer(RogueListener home, RawPeer raw)
    {
        _home = home;
        _raw = raw;
    }

    public Cluster.Messages.Endpoint Home => _home.Endpoint;

    public static async Task<AkkaPeer> ConnectAsync(Cluster.Messages.Endpoint target, X509Certificate2 certificate) =>
        new(new RogueListener(RogueBehaviour.SilentAfterTls, certificate, "lamina-akka/1"), await RawPeer.AuthenticateAsync(target, certificate, "lamina-akka/1"));

    public async Task<OpeningAnswer> OpenAsync(Opening opening)
    {
        await SendAsync(Wire.Encode(opening));
        return Wire.Decode<OpeningAnswer>((await ReadAsync()).AsMemory());
    }

    public Task SendAsync(byte[] unit)
    {
        byte[] frame = new byte[sizeof(int) + unit.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, unit.Length);
        unit.CopyTo(frame, sizeof(int));
        return _raw.SendBytesAsync(frame);
    }

    public Task SendBytesAsync(byte[] bytes) => _raw.SendBytesAsync(bytes);

    public async Task<byte[]> ReadAsync()
    {
        byte[] length = new byte[sizeof(int)];
        await _raw.Ssl.ReadExactlyAsync(length).AsTask().WaitAsync(s_patience);
        byte[] unit = new byte[BinaryPrimitives.ReadInt32LittleEndian(length)];
        await _raw.Ssl.ReadExactlyAsync(unit).AsTask().WaitAsync(s_patience);
        return unit;
    }

    public Task<bool> IsCutAsync() => _raw.IsCutAsync();

    public void Dispose()
    {
        _raw.Dispose();
        _home.Dispose();
    }

    /// <summary>ASSOCIATE as Akka's protocol encodes it, by hand.</summary>
    public static byte[] Associate(string system, string host, int port)
    {
        byte[] address = [.. Text(1, system), .. Text(2, host), 0x18, .. Varint((ulong)port), .. Text(4, "akka.mtls")];
        byte[] info = [.. Bytes(1, address), 0x11, 1, 2, 3, 4, 5, 6, 7, 8];
        return Bytes(2, [0x08, 0x01, .. Bytes(2, info)]);
    }

    private static byte[] Text(int field, string text) => Bytes(field, System.Text.Encoding.UTF8.GetBytes(text));

    private static byte[] Bytes(int field, byte[] bytes) => [(byte)((field << 3) | 2), .. Varint((ulong)bytes.Length), .. bytes];

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
