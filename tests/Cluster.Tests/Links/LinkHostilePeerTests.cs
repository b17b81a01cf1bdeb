using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Cluster.Tests.Links;

public sealed class LinkHostilePeerTests
{
    private static readonly byte[] s_nothing = [];

    [Trait("Attack", "B1")]
    [Fact]
    public async Task Frame_LengthOverTheLimit_ClosesWithoutSettingMemoryAside()
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);
        pair.TakeAccepted();

        await peer.SendAsync(FrameKind.Step, s_nothing, length: uint.MaxValue);

        Assert.Contains("over the limit of 1048576", await pair.Handler.Closed, StringComparison.Ordinal);
        Assert.True(await peer.IsCutAsync());
    }

    /// <summary>
    /// One connection, on which each frame's fate is known from its header: the payload comes back as it was sent, or the reader refuses, and then the next frame follows at once. What is set aside
    /// never exceeds what the largest good frame needs, whatever was announced.
    /// </summary>
    [Trait("Attack", "B1")]
    [Fact]
    public async Task Reader_AnyFramesOneAfterTheOther_TakesTheGoodOnesAndSetsNothingAsideForTheOthers()
    {
        const int Limit = 4096;
        int frames = AttackScale.Cases(30_000, 1_000_000);
        using TestCell cell = new();
        using X509Certificate2 leaf = cell.Leaf();
        using Socket listening = new(SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using Socket client = new(SocketType.Stream, ProtocolType.Tcp), server = await ConnectAsync(listening, client);
        using SslStream sending = new(new NetworkStream(client)), receiving = new(new NetworkStream(server));
        await Task.WhenAll(
            Task.Run(() => sending.AuthenticateAsClient(new SslClientAuthenticationOptions { TargetHost = "localhost", RemoteCertificateValidationCallback = (_, _, _, _) => true })),
            Task.Run(() => receiving.AuthenticateAsServer(leaf)));
        using FrameStream reader = new(server, receiving, new LinkOptions { MaxFrameBytes = Limit });

        Task feeding = Task.Factory.StartNew(() =>
        {
            Random random = new(17);
            MemoryStream batch = new();
            for (int i = 0; i < frames; i++)
            {
                batch.Write(RandomFrame(random, Limit, out _));
                if (batch.Length > 30_000 || i == frames - 1)
                {
                    sending.Write(batch.GetBuffer(), 0, (int)batch.Length);
                    batch.SetLength(0);
                }
            }
        }, TaskCreationOptions.LongRunning);
        (int good, int bad, long most) = await Task.Factory.StartNew(() =>
        {
            Random random = new(17);
            (int good, int bad, long most) = (0, 0, 0);
            for (int i = 0; i < frames; i++)
            {
                byte[] expected = RandomFrame(random, Limit, out bool isGood);
                long before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    ReadOnlySpan<byte> payload = reader.Read(out FrameHeader header);
                    Assert.True(isGood, $"frame {i} was taken");
                    Assert.True(payload.SequenceEqual(expected.AsSpan(FrameHeader.Size)), $"frame {i} was not read as it was sent");
                    Assert.Equal((expected[4], (byte)header.Kind), ((byte)header.Kind, expected[4]));
                    good++;
                }
                catch (LinkClosedException e)
                {
                    Assert.False(isGood, $"frame {i} was refused: {e.Message}");
                    bad++;
                }

                most = Math.Max(most, GC.GetAllocatedBytesForCurrentThread() - before);
            }

            return (good, bad, most);
        }, TaskCreationOptions.LongRunning);
        await feeding;

        Assert.True(good > frames / 4 && bad > frames / 4, $"{good} taken, {bad} refused");
        Assert.InRange(reader.PayloadCapacity, 1, Limit);
        Assert.InRange(most, 0, 64 * 1024);
    }

    [Theory]
    [InlineData(FrameKind.Ping, 9)]
    [InlineData(FrameKind.Credit, 1)]
    [InlineData(FrameKind.Close, 513)]
    [InlineData(FrameKind.Hello, 4097)]
    public async Task Frame_OfTheLinkItself_HasALimitOfItsOwn(FrameKind kind, int bytes)
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        await peer.SendAsync(kind, new byte[bytes]);

        Assert.Contains("over the limit", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Trait("Attack", "B1")]
    [Fact]
    public async Task Frame_WithoutCredit_Closes()
    {
        RecordingHandler stingy = new(grants: false);
        await using LinkPair pair = new(LinkPair.Quick with { Credits = 2 }, handler: stingy);
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);
        Frame credit = await peer.ReadAsync();
        Assert.Equal((FrameKind.Credit, 2), (credit.Kind, credit.Step));

        for (int i = 0; i < 3; i++)
        {
            await peer.SendAsync(FrameKind.Step, s_nothing, step: i);
        }

        Assert.Contains("without credit", await stingy.Closed, StringComparison.Ordinal);
        Assert.Equal([0, 1], new[] { stingy.Take().Step, stingy.Take().Step });
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public async Task Credit_OutOfRange_Closes(int frames)
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        await peer.SendAsync(FrameKind.Credit, s_nothing, step: 1);
        await peer.SendAsync(FrameKind.Credit, s_nothing, step: frames);

        Assert.Contains("out of range", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Trait("Attack", "B1")]
    [Theory]
    [InlineData(new byte[] { 0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 16, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0x47, 0x45, 0x54, 0x20, 0x2F, 0x20, 0x48, 0x54, 0x54, 0x50, 0x2F, 0x31, 0x2E, 0x31, 0x0D, 0x0A })]
    public async Task Bytes_ThatAreNoFrame_Close(byte[] bytes)
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        await peer.SendBytesAsync(bytes);

        Assert.Contains("no frame", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hello_OutOfTurn_Closes()
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        await peer.SendAsync(FrameKind.Hello, Wire.Encode(LinkPair.HelloOf("a")));

        Assert.Contains("out of turn", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Peer_LeavesInTheMiddleOfAFrame_IsNoticedAndTheHalfIsNotDelivered()
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        await peer.SendAsync(FrameKind.Step, new byte[10], length: 1000);
        peer.Dispose();

        Assert.Contains("without a goodbye", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Peer_Resets_IsNoticed()
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        peer.Socket.LingerState = new LingerOption(true, 0);
        peer.Socket.Dispose();

        Assert.Contains("reset by peer", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Peer_Silent_IsNoticedWithinTheLimit()
    {
        LinkOptions quick = LinkPair.Quick with { PingInterval = TimeSpan.FromMilliseconds(50), SilenceLimit = TimeSpan.FromMilliseconds(300) };
        await using LinkPair pair = new(quick);
        long start = Environment.TickCount64;
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);

        Assert.Equal("the peer was silent for 0.3 s", await pair.Handler.Closed);
        Assert.InRange(Environment.TickCount64 - start, 250, 60_000);
    }

    [Trait("Attack", "B6")]
    [Fact]
    public async Task Peer_NeverReads_SenderIsFreedByTheSendDeadline()
    {
        LinkOptions quick = new() { MaxFrameBytes = 8 << 20, Credits = 4, SendDeadline = TimeSpan.FromMilliseconds(300) };
        await using LinkPair pair = new(quick);
        using RawPeer peer = await RawPeer.SayHelloAsync(pair);
        await peer.SendAsync(FrameKind.Credit, s_nothing, step: 1000);
        Link accepted = pair.TakeAccepted();

        // Pings prove life, yet nothing is read: only the deadline of writes ends this. Nothing waits in this process: a sender that cannot send stands still.
        int sent = 0;
        byte[] rows = new byte[8 << 20];
        Task<LinkClosedException> send = Task.Factory.StartNew(() => Assert.Throws<LinkClosedException>(() =>
        {
            for (; sent < 100; sent++)
            {
                accepted.Send(FrameKind.Step, 1, sent, [], rows);
            }
        }), TaskCreationOptions.LongRunning);

        // Another peer of the same listener is served meanwhile.
        using (Link other = await pair.DialAsync())
        {
            other.Send(FrameKind.Cancel, 1, 7, "beside"u8);
            Assert.Equal("beside"u8.ToArray(), pair.Handler.Take().Payload);
        }

        while (!send.IsCompleted)
        {
            try
            {
                await peer.SendAsync(FrameKind.Ping, new byte[8]);
            }
            catch (IOException)
            {
                break;
            }

            await Task.WhenAny(send, Task.Delay(20));
        }

        Assert.Contains("takes no data", (await send.WaitAsync(RecordingHandler.Patience)).Message, StringComparison.Ordinal);
        Assert.InRange(sent * (long)rows.Length, 0, KernelBytes("tcp_wmem") + KernelBytes("tcp_rmem"));
    }

    [Fact]
    public async Task Connection_DripsBytesInsteadOfAuthenticating_IsCutAtTheDeadline()
    {
        const int Deadline = 400;
        await using LinkPair pair = new(LinkPair.Quick with { HandshakeDeadline = TimeSpan.FromMilliseconds(Deadline) });

        // The largest record there is, whose end these drips would take minutes to reach: nothing but the deadline can end it, and no byte puts that off.
        byte[] clientHelloStart = [0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3F, 0xFC, 0x03, 0x03];
        long start = Environment.TickCount64;
        using Socket socket = await RawPeer.ConnectAsync(pair.Listener.Endpoint);
        await Assert.ThrowsAnyAsync<SocketException>(async () =>
        {
            for (int sent = 0; Environment.TickCount64 - start < RecordingHandler.Patience.TotalMilliseconds; sent++)
            {
                await socket.SendAsync(clientHelloStart.AsMemory(Math.Min(sent, 10), 1));
                await Task.Delay(20);
            }
        });

        // It counts from the connection on, by the same clock.
        Assert.InRange(Environment.TickCount64 - start, Deadline, long.MaxValue);
        await Eventually.TrueAsync(() => pair.B.Refusals(RefusalReason.Deadline) == 1);
    }

    [Fact]
    public async Task Connections_OverTheCap_AreCutAtOnceAndTheRestServed()
    {
        await using LinkPair pair = new(LinkPair.Quick with { MaxUnauthenticated = 5, MaxUnauthenticatedPerAddress = 2, HandshakeDeadline = TimeSpan.FromSeconds(20) });
        Socket first = await RawPeer.ConnectAsync(pair.Listener.Endpoint), second = await RawPeer.ConnectAsync(pair.Listener.Endpoint);
        using Socket third = new(SocketType.Stream, ProtocolType.Tcp);
        await Task.WhenAny(third.ConnectAsync(pair.Listener.Endpoint.Host, pair.Listener.Endpoint.Port));

        await Eventually.TrueAsync(() => pair.B.Refusals(RefusalReason.Capacity) == 1);
        first.Dispose();
        second.Dispose();
        await Eventually.TrueAsync(() => pair.B.Refusals(RefusalReason.Handshake) == 2);

        using Link link = await pair.DialAsync();
        Assert.True(link.IsOpen);
    }

    public static TheoryData<string> WrongOnes() => [.. WrongCertificates.Names.Where(name => WrongCertificates.AppliesTo(name, peerIsServer: false))];

    public static TheoryData<string> WrongServers() => [.. WrongCertificates.Names.Where(name => WrongCertificates.AppliesTo(name, peerIsServer: true))];

    [Trait("Attack", "B7")]
    [Theory]
    [MemberData(nameof(WrongOnes))]
    public async Task Listener_WrongClientCertificate_RefusesAndCounts(string name)
    {
        await using LinkPair pair = new();
        using TestCell foreign = new();
        (X509Certificate2? certificate, RefusalReason reason) = WrongCertificates.Make(name, pair.Cell, foreign, peerIsServer: false);

        Assert.True(await IsRefusedAsync(pair, certificate));

        await Eventually.TrueAsync(() => pair.B.Refusals(reason) == 1);
        using Link good = await pair.DialAsync();
        Assert.True(good.IsOpen);
    }

    [Trait("Attack", "B7")]
    [Theory]
    [MemberData(nameof(WrongServers))]
    public async Task Dialler_WrongServerCertificate_RefusesAndCounts(string name)
    {
        using TestCell cell = new(), foreign = new();
        (X509Certificate2? certificate, RefusalReason reason) = WrongCertificates.Make(name, cell, foreign, peerIsServer: true);
        using RogueListener rogue = new(RogueBehaviour.Certificate, certificate);
        CertificateProvider a = cell.Node("a");

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(rogue.Endpoint, null, LinkPair.HelloOf("a"), LinkPair.Quick, a, default));

        Assert.Contains($"at {rogue.Endpoint}: ", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, a.Refusals(reason));
    }

    [Trait("Attack", "B7")]
    [Fact]
    public async Task Dialler_PeerByHostWhoseCertificateNamesAnotherHost_IsRefused()
    {
        using TestCell cell = new();
        using CertificateProvider elsewhere = CertificateProvider.FromFiles(cell.Files(PeerRole.Node, "b", hosts: ["b.example.org"]));
        await using LinkListener listener = LinkListener.Start(LinkPair.Quick, elsewhere, (_, _) => new LinkDecision(_ => new RecordingHandler(), null));

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(listener.Endpoint, null, LinkPair.HelloOf("a"), LinkPair.Quick, cell.Node("a"), default));
        Assert.Contains("does not name host '127.0.0.1'", error.Message, StringComparison.Ordinal);
    }

    [Trait("Attack", "B7")]
    [Theory]
    [InlineData(SslProtocols.Tls12)]
#pragma warning disable SYSLIB0039 // Old versions are offered on purpose.
    [InlineData(SslProtocols.Tls11)]
#pragma warning restore SYSLIB0039
    public async Task Listener_OlderTls_IsRefused(SslProtocols tls)
    {
        await using LinkPair pair = new();

        await Assert.ThrowsAnyAsync<Exception>(() => RawPeer.AuthenticateAsync(pair.Listener.Endpoint, pair.Cell.Leaf(), tls: tls));
        await Eventually.TrueAsync(() => pair.B.Refusals(RefusalReason.Handshake) == 1);
    }

    [Theory]
    [InlineData("")]
    [InlineData("lamina-akka/1")]
    [InlineData("h2")]
    public async Task Listener_OtherProtocolInTls_IsRefused(string protocol)
    {
        await using LinkPair pair = new();
        try
        {
            using RawPeer peer = await RawPeer.AuthenticateAsync(pair.Listener.Endpoint, pair.Cell.Leaf(), protocol);
            Assert.True(await peer.IsCutAsync());
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
        }

        await Eventually.TrueAsync(() => pair.B.Refusals(RefusalReason.Protocol) + pair.B.Refusals(RefusalReason.Handshake) >= 1);
    }

    /// <summary>
    /// The server name in a client's hello chooses nothing here: a process has one certificate, and who dials holds it to the peer or host that was meant (the test of the dialler above). Refusing on the
    /// listener's side would let a claim that nobody signed decide, and cut those that dial a node by an address which its certificate need not name.
    /// </summary>
    [Trait("Attack", "B7")]
    [Fact]
    public async Task Listener_ClientAsksForAnotherServerName_GetsTheSameCertificate()
    {
        await using LinkPair pair = new();

        using RawPeer peer = await RawPeer.AuthenticateAsync(pair.Listener.Endpoint, pair.Cell.Leaf(), serverName: "other.example.org");

        Assert.Equal("CN=b", peer.Ssl.RemoteCertificate!.Subject);
    }

    [Theory]
    [InlineData("Reset", "")]
    [InlineData("Close", "")]
    [InlineData("ResetAfterClientHello", "")]
    [InlineData("Garbage", "")]
    [InlineData("Silent", "no answer within 0.5 s")]
    [InlineData("CloseAfterTls", "before the hello was answered")]
    [InlineData("GarbageAfterTls", "no frame")]
    [InlineData("SilentAfterTls", "no answer within 0.5 s")]
    public async Task Dialler_RogueListener_FailsWithASentence(string behaviour, string expected)
    {
        using TestCell cell = new();
        using RogueListener rogue = new(Enum.Parse<RogueBehaviour>(behaviour), cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/b"]));

        // Only who says nothing is waited for; the others must be told by what they do, however slow the machine is.
        LinkOptions options = LinkPair.Quick with { HandshakeDeadline = behaviour.StartsWith("Silent", StringComparison.Ordinal) ? TimeSpan.FromMilliseconds(500) : TimeSpan.FromSeconds(60) };

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(rogue.Endpoint, "b", LinkPair.HelloOf("a"), options, cell.Node("a"), default));

        Assert.StartsWith($"link to b at {rogue.Endpoint}: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    /// <summary>A socket that takes one connection and is never asked for it lets the system drop whatever else is sent to it, as a firewall does.</summary>
    [Fact]
    public async Task Dialler_WhatItSendsIsLost_GivesUpAfterTheSilenceLimitAndSaysThatNobodyAnswered()
    {
        using TestCell cell = new();
        using Socket full = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        using Socket first = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await first.ConnectAsync(full.LocalEndPoint!);
        var endpoint = new Endpoint("127.0.0.1", ((IPEndPoint)full.LocalEndPoint!).Port);
        LinkOptions options = LinkPair.Quick with { SilenceLimit = TimeSpan.FromMilliseconds(300), HandshakeDeadline = TimeSpan.FromMinutes(5) };

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(endpoint, "b", LinkPair.HelloOf("a"), options, cell.Node("a"), default));

        Assert.True(error.IsUnanswered);
        Assert.Equal($"link to b at {endpoint}: no connection within 0.3 s", error.Message);
    }

    [Fact]
    public async Task Dialler_NobodyListens_SaysSo()
    {
        using TestCell cell = new();
        RogueListener gone = new(RogueBehaviour.Close);
        gone.Dispose();

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(gone.Endpoint, "b", LinkPair.HelloOf("a"), LinkPair.Quick, cell.Node("a"), default));
        Assert.EndsWith("connection refused", error.Message, StringComparison.Ordinal);
        Assert.False(error.IsUnanswered);
    }

    [Fact]
    public async Task Listener_PortInUseOrWildcardWithoutName_IsRefusedWithASentence()
    {
        await using LinkPair pair = new();

        Assert.Contains("port is in use", Assert.Throws<IOException>(() => LinkListener.Start(LinkPair.Quick with { Port = pair.Listener.Endpoint.Port }, pair.B, (_, _) => default)).Message, StringComparison.Ordinal);
        Assert.Contains("PublicHost", Assert.Throws<IOException>(() => LinkListener.Start(LinkPair.Quick with { BindAddress = "0.0.0.0" }, pair.B, (_, _) => default)).Message, StringComparison.Ordinal);
    }

    [Trait("Attack", "B1")]
    [Fact]
    public async Task Listener_RandomBytesAfterTheHandshake_LeaveItServing()
    {
        await using LinkPair pair = new();
        Random random = new(11);
        X509Certificate2 leaf = pair.Cell.Leaf();
        for (int i = 0; i < AttackScale.Cases(60, 2000); i++)
        {
            using RawPeer peer = await RawPeer.AuthenticateAsync(pair.Listener.Endpoint, leaf);
            byte[] bytes = i % 2 == 0 ? new byte[random.Next(1, 2000)] : Wire.Encode(LinkPair.HelloOf("a"));
            if (i % 2 == 0)
            {
                random.NextBytes(bytes);
                await peer.SendBytesAsync(bytes);
            }
            else
            {
                // Structure-aware: a hello with some bytes changed.
                for (int flips = random.Next(1, 4); flips > 0; flips--)
                {
                    bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                }

                await peer.SendAsync(FrameKind.Hello, bytes);
            }
        }

        using Link link = await pair.DialAsync();
        Assert.True(link.IsOpen);
    }

    /// <summary>
    /// Every other one, on average, is good; the others are a header that must be refused before anything behind it is looked at. The same sequence of random numbers makes the same frames.
    /// </summary>
    private static byte[] RandomFrame(Random random, int limit, out bool isGood)
    {
        (byte Kind, int Limit)[] kinds = [(1, 4096), (2, 0), (3, 512), (4, 8), (5, 8), (6, 0), (7, 512), (16, limit), (17, limit), (32, limit), (33, limit), (48, limit), (64, limit), (71, limit)];
        (byte kind, int most) = kinds[random.Next(kinds.Length)];
        int length = random.Next(most + 1);
        byte[] frame = new byte[FrameHeader.Size + length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, length);
        frame[4] = kind;
        random.NextBytes(frame.AsSpan(8));
        isGood = random.Next(2) == 0;
        if (isGood)
        {
            return frame;
        }

        frame = frame[..FrameHeader.Size];
        switch (random.Next(3))
        {
            case 0:
                // A number that no kind has.
                byte[] none = [0, 8, 15, 18, 31, 39, 47, 51, 63, 72, 128, 255];
                frame[4] = none[random.Next(none.Length)];
                break;
            case 1:
                frame[random.Next(5, 8)] |= (byte)(1 << random.Next(8));
                break;
            default:
                BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)random.NextInt64(most + 1L, 1L + uint.MaxValue));
                break;
        }

        return frame;
    }

    private static async Task<Socket> ConnectAsync(Socket listening, Socket client)
    {
        Task<Socket> accepting = Task.Run(listening.Accept);
        client.Connect(listening.LocalEndPoint!);
        return await accepting;
    }

    /// <summary>The most that the kernel keeps for one side of a connection.</summary>
    private static long KernelBytes(string limit) => long.Parse(File.ReadAllText($"/proc/sys/net/ipv4/{limit}").Split('\t', ' ')[^1]);

    private static async Task<bool> IsRefusedAsync(LinkPair pair, X509Certificate2? certificate)
    {
        try
        {
            // With TLS 1.3 the client finishes first; the refusal shows when it reads.
            using RawPeer peer = await RawPeer.AuthenticateAsync(pair.Listener.Endpoint, certificate);
            await peer.SendAsync(FrameKind.Hello, Wire.Encode(LinkPair.HelloOf("a")));
            await peer.ReadAsync();
            return false;
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            return true;
        }
    }
}
