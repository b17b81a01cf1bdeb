using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>
/// The ports of real processes under attack, from a stranger's first byte to a compromised neighbour's step: nobody ends, nobody's memory grows beyond a bound, and the next generation says what the
/// first one said.
/// </summary>
public sealed partial class HostilePeerTests(AttackedCell cell, ITestOutputHelper output) : IClassFixture<AttackedCell>
{
    /// <summary>Connections at a time; below what a port allows one address to have unauthenticated.</summary>
    private const int Parallel = 4;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Trait("Attack", "B1")]
    [Fact]
    public async Task Ports_BytesBeforeAuthentication_AreRefusedAndHarmNobody()
    {
        byte[] clientHello = await ClientHelloAsync();
        (AttackedCell.Member Member, IPEndPoint Port, string Protocol)[] ports =
            [.. cell.Members.SelectMany(member => new[] { (member, member.Control, HostilePeer.ControlProtocol), (member, member.Link, HostilePeer.LinkProtocol) })];
        async Task AttackAsync(int i)
        {
            Random random = new(i);
            (_, IPEndPoint port, string protocol) = ports[i % ports.Length];
            byte[] noise = new byte[random.Next(1, 3000)];
            random.NextBytes(noise);
            try
            {
                switch (i / ports.Length % 4)
                {
                    case 0:
                        await SendAsync(port, noise);
                        break;
                    case 1:
                        // A record's head, and anything below it.
                        await SendAsync(port, [(byte)random.Next(0x14, 0x19), 3, (byte)random.Next(5), (byte)random.Next(0x41), (byte)random.Next(256), .. noise]);
                        break;
                    case 2:
                        byte[] mutated = [.. clientHello];
                        for (int flips = random.Next(1, 5); flips > 0; flips--)
                        {
                            mutated[random.Next(mutated.Length)] ^= (byte)(1 << random.Next(8));
                        }

                        await SendAsync(port, mutated);
                        break;
                    default:
                        using (HostilePeer stranger = await HostilePeer.AuthenticateAsync(port, null, protocol))
                        {
                            await stranger.SendAsync(noise);
                            await stranger.ReadToEndAsync();
                        }

                        break;
                }
            }
            catch (Exception e) when (HostilePeer.IsEnd(e))
            {
                // Refused, as it should be.
            }
        }

        const string Rejected = "lamina_cluster_mtls_rejected_total";
        await EachAsync(ports.Length * 4, AttackAsync);
        Dictionary<string, long> memory = cell.Memory();
        Dictionary<string, long> before = [];
        foreach (AttackedCell.Member member in cell.Members)
        {
            before[member.Name] = await AttackedCell.CountAsync(member, Rejected);
        }

        int connections = AttackScale.Cases(ports.Length * 16, ports.Length * 3000);
        await EachAsync(connections, AttackAsync);

        // Every one of them is counted, whatever it was refused for.
        int each = connections / cell.Members.Count;
        foreach (AttackedCell.Member member in cell.Members)
        {
            long counted = 0;
            await Eventually.TrueAsync(
                async () => (counted = await AttackedCell.CountAsync(member, Rejected) - before[member.Name]) >= each, s_limit, () => $"{member.Name} counted {counted} of {each} refusals");
            Assert.True(await AttackedCell.CountAsync(member, Rejected, "reason=\"no_certificate\"") > 0);
        }

        await cell.AssertUnharmedAsync(memory, output);
    }

    /// <summary>A certificate of the cell opens the port; what its holder may say there is another matter.</summary>
    [Trait("Attack", "B1")]
    [Trait("Attack", "B9")]
    [Trait("Attack", "I4")]
    [Fact]
    public async Task LinkPorts_HellosOfAnotherNode_ReachNoStage()
    {
        Dictionary<string, long> memory = cell.Memory();
        CellStatus status = await cell.StatusAsync();
        DeploymentId deployment = new(ServedModel.ModelName);
        LinkHello To(int node, int epoch, LinkPurpose purpose) => new(LinkHello.CurrentVersion, purpose, AttackedCell.Tenant, "mallory", new StageAddress(deployment, epoch, 0, node));
        foreach ((string name, int stage) in status.Stages.Select((name, stage) => (name, stage)))
        {
            IPEndPoint port = cell.Members.Single(member => member.Name == name).Link;
            LinkHello honest = To(stage, status.Epoch, stage == 0 ? LinkPurpose.Tokens : LinkPurpose.Activations);
            (LinkHello Hello, string Reason)[] lies =
            [
                (honest, $"follows {status.Stages[1 - stage]}, not mallory"),
                (honest with { Purpose = LinkPurpose.Generations }, "a node may not open a link for Generations"),
                (honest with { Purpose = LinkPurpose.Mirror }, "a node may not open a link for Mirror"),
                (honest with { Purpose = (LinkPurpose)99 }, "a node may not open a link for 99"),
                (honest with { Target = honest.Target with { Epoch = status.Epoch - 1 } }, "is not on this node"),
                (honest with { Target = honest.Target with { Epoch = status.Epoch + 1 } }, "is not on this node"),
                (honest with { Target = honest.Target with { Stage = -1 } }, "is not on this node"),
                (honest with { Tenant = new TenantId("globex") }, "hello names tenant 'globex'"),
                (honest with { Sender = status.Stages[1 - stage] }, $"hello names sender '{status.Stages[1 - stage]}'"),
                (honest with { Version = 9 }, "version 9 is not spoken here"),
            ];
            foreach ((LinkHello hello, string reason) in lies)
            {
                Assert.Contains(reason, await HostilePeer.RefusalAsync(port, cell.Mallory, hello), StringComparison.Ordinal);
            }
        }

        IPEndPoint[] ports = [.. cell.Members.Select(member => member.Link)];
        await EachAsync(AttackScale.Cases(60, 6000), async i =>
        {
            Random random = new(i);
            byte[] hello = HostilePeer.Hello(To(random.Next(2), status.Epoch, (LinkPurpose)random.Next(8)));
            for (int flips = random.Next(1, 4); flips > 0; flips--)
            {
                hello[random.Next(hello.Length)] ^= (byte)(1 << random.Next(8));
            }

            // Those that still ask for blobs are let in, and cut for what follows.
            await SendOnLinkAsync(ports[i % ports.Length], null, [.. hello, .. HostilePeer.Frame((int)FrameKind.Hello)]);
        });
        Assert.Equal(status.Epoch, (await cell.StatusAsync()).Epoch);
        await cell.AssertUnharmedAsync(memory, output);
    }

    [Trait("Attack", "B1")]
    [Fact]
    public async Task LinkPorts_FramesAfterAGoodHello_AreTakenOrEndTheLink()
    {
        IPEndPoint[] ports = [.. cell.Members.Select(member => member.Link)];
        int sent = 0;
        async Task AttackAsync(int i)
        {
            (byte[] frames, int count) = Frames(new Random(i));
            await SendOnLinkAsync(ports[i % ports.Length], Blobs, frames);
            Interlocked.Add(ref sent, count);
        }

        await EachAsync(12, AttackAsync);
        Dictionary<string, long> memory = cell.Memory();
        int wanted = AttackScale.Cases(10_000, 1_000_000);
        for (int round = 1; sent < wanted; round++)
        {
            int first = round * 1000;
            await EachAsync(12, i => AttackAsync(first + i));
        }

        output.WriteLine($"{sent} frames");
        await cell.AssertUnharmedAsync(memory, output);
    }

    /// <summary>Asks for all that the cell stores, again and again, gives credit for it and reads nothing.</summary>
    [Trait("Attack", "B6")]
    [Fact]
    public async Task LinkPorts_PeersThatNeverRead_CostBoundedMemoryAndNobodyElseAnAnswer()
    {
        string[] blobs = [.. Directory.GetFiles(cell.CacheOf("node-1"), "sha256-*").OrderByDescending(file => new FileInfo(file).Length).Take(BlobProtocol.MaxOpenRequests - 1).Select(file => Path.GetFileName(file)!)];
        Assert.NotEmpty(blobs);
        byte[] requests = [.. HostilePeer.Frame((int)FrameKind.Credit, step: 1 << 19), .. blobs.SelectMany((blob, i) => HostilePeer.Frame((int)FrameKind.BlobRequest, Wire.Encode(new BlobProtocol.BlobRequest(blob, 0, -1)), step: i))];
        Dictionary<string, long> memory = cell.Memory();
        int each = AttackScale.Cases(4, 40);
        var deaf = new List<HostilePeer>();
        try
        {
            foreach (AttackedCell.Member member in cell.Members)
            {
                for (int i = 0; i < each; i++)
                {
                    HostilePeer peer = await HostilePeer.OpenLinkAsync(member.Link, cell.Mallory, Blobs, receiveBuffer: 4096);
                    deaf.Add(peer);
                    await peer.SendAsync(requests);
                }
            }

            // A chunk of a megabyte for each server of blobs, and what a connection holds.
            await cell.AssertUnharmedAsync(memory, output, growth: (64L << 20) + (each * (3L << 20)));
            foreach (HostilePeer peer in deaf)
            {
                // They do not read, but they live, and say so.
                try
                {
                    await peer.SendAsync(HostilePeer.Frame((int)FrameKind.Ping, new byte[8]));
                }
                catch (Exception e) when (HostilePeer.IsEnd(e))
                {
                }
            }

            await cell.AssertUnharmedAsync(memory, output, growth: (64L << 20) + (each * (3L << 20)));
        }
        finally
        {
            deaf.ForEach(peer => peer.Dispose());
        }
    }

    private static LinkHello Blobs { get; } = new(LinkHello.CurrentVersion, LinkPurpose.Blobs, AttackedCell.Tenant, "mallory", default);

    /// <summary>Frames that a link takes, in any number and order, and one at the end that it may not.</summary>
    private static (byte[] Bytes, int Count) Frames(Random random)
    {
        var bytes = new MemoryStream();
        int count = random.Next(1, AttackScale.Cases(400, 2000));
        byte[] noise = new byte[random.Next(1, 600)];
        random.NextBytes(noise);
        for (int i = 0; i < count; i++)
        {
            bytes.Write(random.Next(8) switch
            {
                < 3 => HostilePeer.Frame((int)FrameKind.Ping, noise.AsSpan(0, Math.Min(noise.Length, random.Next(9))), random.Next(), random.Next()),
                < 6 => HostilePeer.Frame((int)FrameKind.Pong, noise.AsSpan(0, Math.Min(noise.Length, random.Next(9)))),
                6 => HostilePeer.Frame((int)FrameKind.Credit, step: random.Next(1, 100)),
                _ when i % 50 == 0 => HostilePeer.Frame((int)FrameKind.BlobRequest, Wire.Encode(new BlobProtocol.BlobRequest("sha256-" + new string("0123456789abcdef"[random.Next(16)], 64), random.NextInt64(), random.NextInt64(-5, 5))), step: random.Next()),
                _ => HostilePeer.Frame((int)FrameKind.Ping),
            });
        }

        byte[] request = Wire.Encode(new BlobProtocol.BlobRequest("sha256-" + new string('0', 64), 0, -1));
        request[random.Next(request.Length)] ^= (byte)(1 << random.Next(8));
        bytes.Write(random.Next(7) switch
        {
            0 => HostilePeer.Frame(random.Next(256), noise),
            1 => HostilePeer.Frame(random.Next(), noise),
            2 => HostilePeer.Frame(random.Next(80), noise, random.Next(), random.Next(), length: (uint)random.NextInt64(uint.MaxValue)),
            3 => HostilePeer.Frame((int)FrameKind.BlobRequest, request),
            4 => HostilePeer.Frame((int)FrameKind.Credit, step: random.Next(int.MinValue, 1)),
            5 => HostilePeer.Frame((int)FrameKind.Close, noise.AsSpan(0, Math.Min(noise.Length, 512))),
            _ => noise,
        });

        // Whatever the one before was, this one is out of turn.
        bytes.Write(HostilePeer.Frame((int)FrameKind.HelloAccepted));
        return (bytes.ToArray(), count + 2);
    }

    /// <summary>Sends on a new link, and waits until the other side has ended it.</summary>
    private async Task SendOnLinkAsync(IPEndPoint port, LinkHello? hello, byte[] bytes)
    {
        try
        {
            using HostilePeer peer = await HostilePeer.AuthenticateAsync(port, cell.Mallory, HostilePeer.LinkProtocol);
            Task ended = peer.ReadToEndAsync();
            await peer.SendAsync(hello is null ? bytes : [.. HostilePeer.Hello(hello), .. bytes]);

            // Where a frame was to be longer, no more comes.
            peer.Socket.Shutdown(SocketShutdown.Send);
            await ended;
        }
        catch (Exception e) when (HostilePeer.IsEnd(e))
        {
        }
    }

    private static async Task SendAsync(IPEndPoint port, byte[] bytes)
    {
        using Socket socket = await HostilePeer.ConnectAsync(port);
        await socket.SendAsync(bytes);
        socket.Shutdown(SocketShutdown.Send);
        byte[] answer = new byte[4096];
        while (await socket.ReceiveAsync(answer).WaitAsync(s_limit) > 0)
        {
        }
    }

    private static Task EachAsync(int count, Func<int, Task> act)
    {
        int next = -1;
        return Task.WhenAll(Enumerable.Range(0, Parallel).Select(async _ =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < count;)
            {
                await act(i);
            }
        }));
    }

    /// <summary>What a client of this protocol says first.</summary>
    private static async Task<byte[]> ClientHelloAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using Socket client = await HostilePeer.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using Socket server = await listener.AcceptSocketAsync();
        using var tls = new SslStream(new NetworkStream(client));
        Task handshake = tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "127.0.0.1", EnabledSslProtocols = SslProtocols.Tls13, ApplicationProtocols = [new SslApplicationProtocol(HostilePeer.LinkProtocol)] });
        byte[] bytes = new byte[4096];
        int read = await server.ReceiveAsync(bytes);
        server.Dispose();
        await Assert.ThrowsAnyAsync<Exception>(() => handshake);
        return bytes[..read];
    }
}
