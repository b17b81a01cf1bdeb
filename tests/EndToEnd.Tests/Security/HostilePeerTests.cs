using System.Buffers.Binary;
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
public sealed class HostilePeerTests(AttackedCell cell, ITestOutputHelper output) : IClassFixture<AttackedCell>
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

    /// <summary>
    /// A node's neighbour in the pipeline, whose frames it must take, sends what no plan contains: each ends the pipeline, which stands again under a new epoch, and the generation in between goes on to
    /// the same words. Frames of other epochs are dropped without harm.
    /// </summary>
    [Trait("Attack", "B1")]
    [Trait("Attack", "B9")]
    [Fact]
    public async Task Stage_FramesThatItsNeighbourAlters_AreDroppedOrEndThePipelineAndTheAnswerStaysTheSame()
    {
        Dictionary<string, long>? memory = null;
        (string Name, bool Ends, Func<byte[], byte[][]> Alter)[] attacks =
        [
            ("an older epoch's twin", false, step => [With(step, 8, Epoch(step) - 1), step]),
            ("rows beyond the plan", true, step => [With(step, 20, int.MaxValue)]),
            ("the step a second time", true, step => [step, step]),
            ("a later epoch's twin", false, step => [With(step, 8, Epoch(step) + 1), step]),
            ("a step that is not the next", true, step => [With(step, 12, BinaryPrimitives.ReadInt32LittleEndian(step.AsSpan(12)) + 1)]),
            ("more operations than bytes", true, step => [With(step, 16, -1)]),
            ("rows of another width", true, step => [With(step, 24, 1)]),
            ("reserved bits", true, step => [With(step, 28, 1)]),
            ("no payload", true, step => [HostilePeer.Frame((int)FrameKind.Step, default, Epoch(step), 1)]),
            ("half a payload", true, step => [HostilePeer.Frame((int)FrameKind.Step, step.AsSpan(16, (step.Length - 16) / 2), Epoch(step), BinaryPrimitives.ReadInt32LittleEndian(step.AsSpan(12)))]),
            ("four gigabytes", true, step => [With(step, 0, -1)]),
            ("the tail's frame", true, step => [With(step, 4, (int)FrameKind.Sampled)]),
            ("a coordinator's frame", true, step => [With(step, 4, (int)FrameKind.Submit)]),
            ("an unknown kind", true, step => [With(step, 4, 99)]),
            ("flags", true, step => [With(step, 4, (int)FrameKind.Step | (1 << 8))]),
            ("a second hello", true, step => [HostilePeer.Hello(Blobs), step]),
            ("credit below nothing", true, step => [HostilePeer.Frame((int)FrameKind.Credit, step: -1), step]),
            ("credit without end", true, step => [HostilePeer.Frame((int)FrameKind.Credit, step: int.MaxValue), step]),
            ("a goodbye", true, step => [HostilePeer.Frame((int)FrameKind.Close, "mallory\n\u001b[31m"u8), step]),
        ];
        foreach ((string name, bool ends, Func<byte[], byte[][]> alter) in attacks.Take(AttackScale.Cases(3, attacks.Length)))
        {
            CellStatus status = await cell.WaitAsync(status => status.Phase == "Ready", "ready");
            AttackedCell.Member tail = cell.Members.Single(member => member.Name == status.Stages[^1]);
            memory ??= cell.Memory();
            long stale = await AttackedCell.CountAsync(tail, "lamina_node_stage_stale_frames_total");
            int done = 0;
            tail.Proxy!.Interference = (purpose, frame) =>
                purpose == LinkPurpose.Activations && frame[4] == (byte)FrameKind.Step && (ends ? Interlocked.Exchange(ref done, 1) == 0 : Interlocked.Increment(ref done) > 0) ? alter(frame) : null;
            await cell.AssertUnharmedAsync(memory, output);
            tail.Proxy.Interference = null;
            Assert.True(done > 0, $"{name}: no step came by");
            if (ends)
            {
                CellStatus after = await cell.WaitAsync(now => now.Phase == "Ready" && now.Epoch > status.Epoch, $"replanned after {name}");
                output.WriteLine($"{name}: epoch {status.Epoch} ended, {after.Epoch} serves");
            }
            else
            {
                Assert.Equal(status.Epoch, (await cell.StatusAsync()).Epoch);
                Assert.Equal(stale + done, await AttackedCell.CountAsync(tail, "lamina_node_stage_stale_frames_total"));
                output.WriteLine($"{name}: {done} dropped");
            }
        }

        await cell.AssertUnharmedAsync(memory!, output);
    }

    /// <summary>An associated node of the cell sends every serialiser's payloads, by hand: types by name, unknown numbers, commands, others' events, noise.</summary>
    [Trait("Attack", "B1")]
    [Trait("Attack", "B3")]
    [Fact]
    public async Task ControlPorts_MessagesOfAnAssociatedNode_BuildNothingAndHarmNobody()
    {
        await SendMessagesAsync(24);
        Dictionary<string, long> memory = cell.Memory();
        Dictionary<string, long> before = [];
        string[] refused = ["json", "proto", "daemon-create", "akka-misc", "akka-system-msg", "reliable-delivery", "manifest", "contract"];
        foreach (string what in refused)
        {
            before[what] = await AttackedCell.CountAsync(cell.Coordinator, "lamina_cluster_wire_refused_total", $"what=\"{what}\"");
        }

        await SendMessagesAsync(AttackScale.Cases(cell.Members.Count * Home.Payloads, 50 * cell.Members.Count * Home.Payloads));
        foreach (string what in refused)
        {
            await Eventually.TrueAsync(
                async () => await AttackedCell.CountAsync(cell.Coordinator, "lamina_cluster_wire_refused_total", $"what=\"{what}\"") > before[what], s_limit, () => $"no {what} was refused\n{cell.Logs}");
        }

        await cell.AssertUnharmedAsync(memory, output);
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

    /// <summary>
    /// One association each, and each from an address of its own: a receiver ends an association over the first message that it cannot read, and lets that address wait for a second. One more message
    /// follows at random.
    /// </summary>
    private Task SendMessagesAsync(int associations) => EachAsync(associations, async i =>
    {
        Random random = new(i);
        AttackedCell.Member target = cell.Members[i % cell.Members.Count];
        using var home = new Home(cell);
        try
        {
            using HostilePeer peer = await HostilePeer.AssociateAsync(target.Control, cell.Mallory, AttackedCell.Tenant, "mallory", home.Endpoint, target.Advertised);
            await peer.SendAsync(HostilePeer.Unit(home.Message(target, i / cell.Members.Count, random)));
            await peer.SendAsync(HostilePeer.Unit(home.Message(target, random.Next(), random)));

            // Read before it is left, else a reset could overtake it.
            peer.Socket.Shutdown(SocketShutdown.Send);
            await peer.ReadToEndAsync();
        }
        catch (Exception e) when (HostilePeer.IsEnd(e))
        {
            // Ended while it still spoke.
        }
    });

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

    private static byte[] With(byte[] frame, int offset, int value)
    {
        byte[] altered = [.. frame];
        BinaryPrimitives.WriteInt32LittleEndian(altered.AsSpan(offset), value);
        return altered;
    }

    private static int Epoch(byte[] frame) => BinaryPrimitives.ReadInt32LittleEndian(frame.AsSpan(8));

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

    /// <summary>The address that the hostile node calls its own: shows its certificate to whoever dials back, and answers nothing.</summary>
    private sealed class Home : IDisposable
    {
        /// <summary>Kinds of messages that <see cref="Message"/> makes.</summary>
        public const int Payloads = 24;

        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly AttackedCell _cell;

        public Home(AttackedCell cell)
        {
            _cell = cell;
            _listener.Start();
            Endpoint = new Endpoint("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);
            _ = AcceptAsync();
        }

        public Endpoint Endpoint { get; }

        public byte[] Message(AttackedCell.Member target, int number, Random random)
        {
            const string Gadget = "System.IO.FileSystemWatcher, System.IO.FileSystem.Watcher";
            string system = $"akka.mtls://cell-{AttackedCell.Tenant}@{target.Advertised}";
            string[] paths = ["/user/node", "/user/node-registry", "/system/cluster/core/daemon", "/remote", "/", "/user/nobody"];
            string recipient = system + paths[random.Next(paths.Length)], sender = $"akka.mtls://cell-{AttackedCell.Tenant}@{Endpoint}/user/m";
            byte[] noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            byte[] json = System.Text.Encoding.UTF8.GetBytes($$"""{"$type":"{{Gadget}}","Path":"/"}""");
            byte[] told = Wire.Encode(new NodeEvents.StageReady(AttackedCell.Tenant, default, new NodeName("mallory")));
            (int Serializer, string Manifest, byte[] Content)[] payloads =
            [
                (1, Gadget, json), (2, Gadget, noise), (3, "Akka.Remote.DaemonMsgCreate, Akka.Remote", noise), (16, "STF", noise), (16, "CF", "a = 1"u8.ToArray()), (16, "PP", []),
                (22, "Akka.Dispatch.SysMsg.Terminate, Akka", noise), (22, Gadget, noise), (36, "a", noise), (200, Gadget, json), (200, "999", noise), (200, "35", noise), (200, "32", told),
                (random.Next(256), Gadget, noise), (random.Next(int.MaxValue), "", noise), (11, Gadget, noise), (13, "A", noise), (4, "", noise), (17, "I", noise), (6, "", noise),
                (200, "35", told), (200, "4", Wire.Encode(new NodeCommands.UnloadStage(AttackedCell.Tenant, default))),
                (200, "35", Wire.Encode(new NodeEvents.StageReady(AttackedCell.Tenant, default, new NodeName("node-1")))), (5, "Akka.Cluster.ClusterUserAction+Down, Akka.Cluster", noise),
            ];
            Assert.Equal(Payloads, payloads.Length);
            (int serializer, string manifest, byte[] content) = payloads[number % Payloads];
            byte[] message = HostilePeer.Message(recipient, sender, serializer, manifest, content);
            if (number / Payloads % 4 == 3)
            {
                message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
            }

            return message;
        }

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    _ = ShowAsync(await _listener.AcceptSocketAsync());
                }
            }
            catch (Exception e) when (HostilePeer.IsEnd(e))
            {
            }
        }

        private async Task ShowAsync(Socket socket)
        {
            try
            {
                await using var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = _cell.Mallory,
                    ClientCertificateRequired = true,
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
                    ApplicationProtocols = [new SslApplicationProtocol(HostilePeer.ControlProtocol)],
                });
                await tls.CopyToAsync(Stream.Null);
            }
            catch (Exception e) when (HostilePeer.IsEnd(e))
            {
            }
        }
    }
}
