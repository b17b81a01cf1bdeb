using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>What somebody on the network sees of a cell at work: TLS from the first byte on, and nothing of what was said.</summary>
public sealed class WireTests(ITestOutputHelper output)
{
    [Trait("Attack", "H3")]
    [Fact]
    public async Task Traffic_BetweenProcesses_IsTlsFromTheFirstByteAndHoldsNoPrompt()
    {
        using Recording? recording = Recording.TryStart(out string why);
        Assert.SkipWhen(recording is null, $"recording the loopback interface needs CAP_NET_RAW: {why}");
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 2, plannedNodes: 2);
        string secret = Guid.NewGuid().ToString("N");
        using HttpResponseMessage asked = await cell.Http.PostAsJsonAsync("tokenize", new { model = ServedModel.ModelName, content = secret });
        int[] tokens = [.. JsonNode.Parse(await asked.Content.ReadAsStringAsync())!["tokens"]!.AsArray().Select(token => token!.GetValue<int>())];
        await cell.Http.AnswerAsync(ChatApi.Chat(ChatApi.User(secret), maxTokens: 16));
        await cell.Http.AnswerAsync(ChatApi.Chat(ChatApi.User(secret), maxTokens: 16));

        int http = cell.Http.BaseAddress!.Port;
        HashSet<int> ports = [.. new[] { cell.Coordinator.Id }.Concat(cell.Nodes.Values.Select(node => node.Id)).SelectMany(ProcessTable.ListeningPorts).Where(port => port != http)];
        Recording.Flow[] flows = [.. recording.Stop().Where(flow => ports.Contains(flow.From) || ports.Contains(flow.To))];
        output.WriteLine($"{flows.Length} flows, {flows.Sum(flow => flow.Bytes.Count)} bytes");
        Assert.InRange(flows.Length, 8, 10_000);
        Assert.All(flows, flow => Assert.Equal((0x16, 0x03), (flow.Bytes[0], flow.Bytes[1])));
        byte[][] secrets =
        [
            Encoding.UTF8.GetBytes(secret), Encoding.Unicode.GetBytes(secret),

            // Tokens as they lie in a step's frame, in a submission, and as other formats would have them: bytes in groups of seven bits, and two or eight bytes each.
            [.. tokens.SelectMany(BitConverter.GetBytes)], Packed(tokens), [.. tokens.SelectMany(Varint)], [.. tokens.SelectMany(token => BitConverter.GetBytes((ushort)token))],
            [.. tokens.SelectMany(token => BitConverter.GetBytes((long)token))],
        ];
        Assert.All(secrets, wanted => Assert.InRange(wanted.Length, 8, int.MaxValue));

        // What is looked for is what would be found: the submission itself holds it.
        byte[] submission = Wire.Encode(new GenerationProtocol.Submit(ConfiguredCell.Tenant, default, [1, 2, .. tokens, 3], [], 16, [], SamplingSettings.From(new SamplingParameters()), 0));
        Assert.NotEqual(-1, submission.AsSpan().IndexOf(Packed(tokens)));
        foreach (Recording.Flow flow in flows)
        {
            ReadOnlySpan<byte> bytes = CollectionsMarshal.AsSpan(flow.Bytes);
            foreach (byte[] wanted in secrets)
            {
                Assert.Equal(-1, bytes.IndexOf(wanted));
            }
        }
    }

    /// <summary>MessagePack's integers, one after the other: one byte below 128, then 0xCC and one byte, 0xCD and two, 0xCE and four, the largest first.</summary>
    private static byte[] Packed(int[] tokens) =>
    [
        .. tokens.SelectMany(token => token switch
        {
            < 0x80 => new[] { (byte)token },
            <= 0xFF => [0xCC, (byte)token],
            <= 0xFFFF => [0xCD, (byte)(token >> 8), (byte)token],
            _ => [0xCE, (byte)(token >> 24), (byte)(token >> 16), (byte)(token >> 8), (byte)token],
        }),
    ];

    private static IEnumerable<byte> Varint(int value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            yield return (byte)(value | 0x80);
        }

        yield return (byte)value;
    }

    /// <summary>All TCP payload on the loopback interface, by direction of each connection.</summary>
    private sealed unsafe class Recording : IDisposable
    {
        private const int PacketFamily = 17, Raw = 3, ReceiveBuffer = 8, SocketLevel = 1;
        private const int Limit = 64 << 20;

        private readonly int _socket;
        private readonly Thread _thread;
        private readonly ConcurrentDictionary<(int From, int To), Flow> _flows = new();
        private volatile bool _stopping;
        private long _kept;

        private Recording(int socket)
        {
            _socket = socket;
            _thread = new Thread(Run) { IsBackground = true };
            _thread.Start();
        }

        public sealed record Flow(int From, int To)
        {
            public List<byte> Bytes { get; } = [];
        }

        public static Recording? TryStart(out string why)
        {
            int socket = OpenSocket(PacketFamily, Raw, BinaryPrimitives.ReverseEndianness((ushort)0x0800));
            why = Marshal.GetLastPInvokeErrorMessage();
            if (socket < 0)
            {
                return null;
            }

            // struct sockaddr_ll: family, protocol (big-endian), interface index; loopback is interface 1 in every network namespace.
            byte[] address = new byte[20];
            BinaryPrimitives.WriteUInt16LittleEndian(address, PacketFamily);
            BinaryPrimitives.WriteUInt16BigEndian(address.AsSpan(2), 0x0800);
            BinaryPrimitives.WriteInt32LittleEndian(address.AsSpan(4), 1);
            int size = 64 << 20;
            _ = SetOption(socket, SocketLevel, ReceiveBuffer, &size, sizeof(int));
            int timeout = 0;
            fixed (byte* at = address)
            {
                timeout = Bind(socket, at, address.Length);
            }

            why = Marshal.GetLastPInvokeErrorMessage();
            return timeout == 0 ? new Recording(socket) : null;
        }

        public IReadOnlyCollection<Flow> Stop()
        {
            _stopping = true;
            _thread.Join();
            return [.. _flows.Values.Where(flow => flow.Bytes.Count >= 2)];
        }

        public void Dispose()
        {
            _stopping = true;
            _thread.Join();
            _ = Close(_socket);
        }

        private void Run()
        {
            byte[] frame = new byte[1 << 17];
            const int DontWait = 0x40;
            fixed (byte* at = frame)
            {
                while (!_stopping)
                {
                    nint length = Receive(_socket, at, frame.Length, DontWait);
                    if (length > 0)
                    {
                        Take(frame.AsSpan(0, (int)length));
                    }
                    else
                    {
                        Thread.Sleep(1);
                    }
                }
            }
        }

        private void Take(ReadOnlySpan<byte> frame)
        {
            const int Ethernet = 14, Tcp = 6;
            if (frame.Length < Ethernet + 40 || frame[Ethernet] >> 4 != 4 || frame[Ethernet + 9] != Tcp)
            {
                return;
            }

            ReadOnlySpan<byte> ip = frame[Ethernet..];
            int total = BinaryPrimitives.ReadUInt16BigEndian(ip[2..]);
            ReadOnlySpan<byte> tcp = ip[((ip[0] & 0xF) * 4)..(total == 0 || total > ip.Length ? ip.Length : total)];
            ReadOnlySpan<byte> payload = tcp[((tcp[12] >> 4) * 4)..];
            if (payload.IsEmpty || _kept > Limit)
            {
                return;
            }

            (int from, int to) = (BinaryPrimitives.ReadUInt16BigEndian(tcp), BinaryPrimitives.ReadUInt16BigEndian(tcp[2..]));
            Flow flow = _flows.GetOrAdd((from, to), key => new Flow(key.From, key.To));
            flow.Bytes.AddRange(payload);
            _kept += payload.Length;
        }

        [DllImport("libc", EntryPoint = "socket", SetLastError = true)]
        private static extern int OpenSocket(int family, int type, int protocol);

        [DllImport("libc", EntryPoint = "bind", SetLastError = true)]
        private static extern int Bind(int socket, byte* address, int length);

        [DllImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
        private static extern int SetOption(int socket, int level, int option, int* value, int length);

        [DllImport("libc", EntryPoint = "recv", SetLastError = true)]
        private static extern nint Receive(int socket, byte* buffer, nint length, int flags);

        [DllImport("libc", EntryPoint = "close")]
        private static extern int Close(int socket);
    }
}
