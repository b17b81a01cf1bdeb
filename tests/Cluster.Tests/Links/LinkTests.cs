using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Links;

public sealed class LinkTests
{
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 0)]
    [InlineData(0, 1)]
    [InlineData(100, 16 * 1024)]
    [InlineData(32 * 1024 - 16, 0)]
    [InlineData(32 * 1024 - 16, 1)]
    [InlineData(32 * 1024, 5)]
    [InlineData(70_000, 500_000)]
    public async Task Send_AnyHeadAndBody_ArriveAsOnePayload(int headBytes, int bodyBytes)
    {
        await using LinkPair pair = new();
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());
        byte[] head = new byte[headBytes], body = new byte[bodyBytes];
        new Random(1).NextBytes(head);
        new Random(2).NextBytes(body);

        link.Send(FrameKind.Step, 7, -3, head, body);

        Frame frame = pair.Handler.Take();
        Assert.Equal((FrameKind.Step, 7, -3), (frame.Kind, frame.Epoch, frame.Step));
        Assert.Equal([.. head, .. body], frame.Payload);
    }

    [Fact]
    public async Task Accepted_Link_KnowsPeerAndHello()
    {
        await using LinkPair pair = new();
        using Link link = await pair.DialAsync();
        Link accepted = pair.TakeAccepted();

        Assert.Equal(("a", "b"), (accepted.Peer.Name, link.Peer.Name));
        Assert.Equal(LinkPair.HelloOf("a"), accepted.Hello);
    }

    [Fact]
    public async Task Send_PeerDoesNotGrant_BlocksAtTheCreditLimitUntilItDoes()
    {
        RecordingHandler stingy = new(grants: false);
        await using LinkPair pair = new(LinkPair.Quick with { Credits = 2 }, handler: stingy);
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());
        Thread sender = new(() =>
        {
            for (int step = 0; step < 3; step++)
            {
                link.Send(FrameKind.Step, 1, step, [1]);
            }
        });
        sender.Start();
        Link accepted = pair.TakeAccepted();
        Assert.Equal([0, 1], new[] { stingy.Take().Step, stingy.Take().Step });

        // Frames without credit still pass, so this one overtakes the blocked third.
        link.Send(FrameKind.HeadLoad, 1, 99, []);
        Assert.Equal(99, stingy.Take().Step);
        Assert.Equal(0, link.Credits);
        Assert.True(sender.IsAlive);

        accepted.Grant();
        Assert.Equal(2, stingy.Take().Step);
        Assert.True(sender.Join(RecordingHandler.Patience));
    }

    [Fact]
    public async Task Close_SenderWaitsForCredit_SenderThrowsAndBothSidesHearTheReasonOnce()
    {
        RecordingHandler stingy = new(grants: false), dialler = new();
        await using LinkPair pair = new(LinkPair.Quick with { Credits = 1 }, handler: stingy);
        using Link link = await pair.DialAsync();
        link.Start(dialler);
        link.Send(FrameKind.Step, 1, 0, [1]);
        Task<LinkClosedException> blocked = Task.Run(() => Assert.Throws<LinkClosedException>(() => link.Send(FrameKind.Step, 1, 1, [1])));

        pair.TakeAccepted().Close("superseded by epoch 2");

        Assert.Contains("superseded by epoch 2", (await blocked.WaitAsync(RecordingHandler.Patience)).Message, StringComparison.Ordinal);
        Assert.Equal("closed by b: superseded by epoch 2", await dialler.Closed);
        Assert.Equal("superseded by epoch 2", await stingy.Closed);
        link.Close("again");
        Assert.Equal((1, 1), (dialler.Closes, stingy.Closes));
        Assert.False(link.IsOpen);
    }

    [Fact]
    public async Task Send_BothSidesAtOnceMoreThanTheSocketsHold_NeitherWaitsForever()
    {
        const int frames = 40;
        RecordingHandler atB = new(), atA = new();
        await using LinkPair pair = new(new LinkOptions { MaxFrameBytes = 8 << 20, Credits = 4 }, handler: atB);
        using Link link = await pair.DialAsync();
        link.Start(atA);
        Link accepted = pair.TakeAccepted();
        byte[] body = new byte[4 << 20];

        Task[] senders = [.. new[] { link, accepted }.Select(l => Task.Factory.StartNew(() =>
        {
            for (int step = 0; step < frames; step++)
            {
                l.Send(FrameKind.Step, 1, step, [], body);
            }
        }, TaskCreationOptions.LongRunning))];
        for (int step = 0; step < frames; step++)
        {
            Assert.Equal((step, step), (atA.Take().Step, atB.Take().Step));
        }

        await Task.WhenAll(senders).WaitAsync(RecordingHandler.Patience);
    }

    [Fact]
    public async Task Send_ManyThreads_FramesStayWhole()
    {
        await using LinkPair pair = new();
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());

        Task[] senders = [.. Enumerable.Range(1, 4).Select(id => Task.Factory.StartNew(() =>
        {
            for (int step = 0; step < 50; step++)
            {
                byte[] payload = new byte[1000 * id];
                Array.Fill(payload, (byte)id);
                link.Send(FrameKind.Sampled, id, step, payload);
            }
        }, TaskCreationOptions.LongRunning))];
        int[] next = new int[5];
        for (int i = 0; i < 200; i++)
        {
            Frame frame = pair.Handler.Take();
            Assert.Equal(next[frame.Epoch]++, frame.Step);
            Assert.Equal(1000 * frame.Epoch, frame.Payload.Length);
            Assert.All(frame.Payload, b => Assert.Equal(frame.Epoch, b));
        }

        await Task.WhenAll(senders);
    }

    [Fact]
    public async Task Send_OverTheLimit_IsRefusedBeforeAByteLeaves()
    {
        await using LinkPair pair = new();
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());

        Assert.Throws<ArgumentException>(() => link.Send(FrameKind.Step, 1, 0, [], new byte[(1 << 20) + 1]));
        Assert.Throws<ArgumentException>(() => link.Send(FrameKind.Credit, 1, 0, []));

        link.Send(FrameKind.Step, 1, 5, []);
        Assert.Equal(5, pair.Handler.Take().Step);
    }

    [Fact]
    public async Task Link_IdleLongerThanTheSilenceLimit_IsKeptAliveByPings()
    {
        LinkOptions quick = LinkPair.Quick with { PingInterval = TimeSpan.FromMilliseconds(100), SilenceLimit = TimeSpan.FromSeconds(2) };
        await using LinkPair pair = new(quick);
        using Link link = await pair.DialAsync();
        RecordingHandler dialler = new();
        link.Start(dialler);

        await Assert.ThrowsAsync<TimeoutException>(() => dialler.Closed.WaitAsync(TimeSpan.FromSeconds(4)));

        Assert.True(link.IsOpen);
        Assert.True(link.RoundTrip > TimeSpan.Zero);
    }

    [Fact]
    public async Task OnFrame_HandlerThrows_ClosesTheLinkAndNothingElse()
    {
        await using LinkPair pair = new(router: (_, _) => new LinkDecision(_ => new ThrowingHandler(), null));
        using Link link = await pair.DialAsync();
        RecordingHandler dialler = new();
        link.Start(dialler);

        link.Send(FrameKind.Step, 1, 0, []);

        Assert.Contains("could not be handled", await dialler.Closed, StringComparison.Ordinal);
        using Link second = await pair.DialAsync();
        Assert.True(second.IsOpen);
    }

    [Fact]
    public async Task Dial_HelloThatTheRouterRefuses_ThrowsItsSentence()
    {
        await using LinkPair pair = new(router: (hello, _) => new LinkDecision(null, $"no stage {hello.Target} here"));

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => pair.DialAsync());
        Assert.Contains("b refused: no stage m/1/0/1 here", error.Message, StringComparison.Ordinal);
    }

    [Trait("Attack", "I4")]
    [Theory]
    [InlineData("a", "globex", LinkPurpose.Activations, 1, "hello names tenant 'globex'")]
    [InlineData("c", "acme", LinkPurpose.Activations, 1, "hello names sender 'c'")]
    [InlineData("a", "acme", LinkPurpose.Activations, 9, "version 9 is not spoken")]
    [InlineData("a", "acme", LinkPurpose.Activations, 0, "version 0 is not spoken")]
    [InlineData("a", "acme", LinkPurpose.Generations, 1, "a node may not open a link for Generations")]
    [InlineData("a", "acme", (LinkPurpose)99, 1, "a node may not open a link for 99")]
    public async Task Dial_HelloThatContradictsTheCertificate_IsRefused(string sender, string tenant, LinkPurpose purpose, int version, string expected)
    {
        await using LinkPair pair = new();

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => pair.DialAsync(hello: LinkPair.HelloOf(sender, tenant, purpose, version)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Kept answers hold prompts: a node may neither give a coordinator any nor be given one.</summary>
    [Trait("Attack", "I4")]
    [Theory]
    [InlineData(LinkPurpose.Mirror)]
    [InlineData(LinkPurpose.Answers)]
    public async Task Dial_LinkForKeptAnswers_IsBetweenCoordinatorsAlone(LinkPurpose purpose)
    {
        await using LinkPair pair = new();
        await using LinkListener front = LinkListener.Start(pair.Options, pair.Cell.Coordinator("front"), (_, _) => new LinkDecision(_ => new RecordingHandler(), null));
        LinkHello hello = LinkPair.HelloOf("a", purpose: purpose);

        LinkClosedException opened = await Assert.ThrowsAsync<LinkClosedException>(() => LinkDialler.DialAsync(front.Endpoint, "front", hello, pair.Options, pair.Cell.Node("a"), default));
        Assert.Contains($"a node may not open a link for {purpose}", opened.Message, StringComparison.Ordinal);
        LinkClosedException answered = await Assert.ThrowsAsync<LinkClosedException>(() => pair.DialAsync(pair.Cell.Coordinator("front"), hello with { Sender = "front" }));
        Assert.Contains("role node is not allowed", answered.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dial_CoordinatorOpensGenerations_IsAccepted()
    {
        await using LinkPair pair = new();

        using Link link = await pair.DialAsync(pair.Cell.Coordinator("front"), LinkPair.HelloOf("front", purpose: LinkPurpose.Generations));
        Assert.Equal(PeerRole.Coordinator, pair.TakeAccepted().Peer.Role);
    }

    [Fact]
    public async Task Dial_AnotherProcessAnswersThere_IsRefusedByName()
    {
        await using LinkPair pair = new();

        LinkClosedException error = await Assert.ThrowsAsync<LinkClosedException>(() => pair.DialAsync(expectedPeer: "c"));
        Assert.Contains("found b where c was expected", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dial_Cancelled_ThrowsCancellation()
    {
        using RogueListener silent = new(RogueBehaviour.Silent);
        using TestCell cell = new();
        using CancellationTokenSource cancellation = new();
        Task<Link> dial = LinkDialler.DialAsync(silent.Endpoint, "b", LinkPair.HelloOf("a"), LinkPair.Quick, cell.Node("a"), cancellation.Token);
        await silent.Connected;

        cancellation.Cancel();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => dial.WaitAsync(RecordingHandler.Patience));
    }

    private sealed class ThrowingHandler : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload) => throw new FormatException("planted");

        public void OnClosed(Link link, string reason)
        {
        }
    }
}
