using System.Diagnostics;
using Lamina.Cluster.Links;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Links;

public sealed class LinkCostTests
{
    [Fact]
    public async Task SendAndReceive_SteadyState_AllocateNothing()
    {
        CountingHandler receiver = new();
        await using LinkPair pair = new(LinkPair.Quick with { Credits = 8, PingInterval = TimeSpan.FromSeconds(30), SilenceLimit = TimeSpan.FromSeconds(60) }, router: (_, _) => new LinkDecision(_ => receiver, null));
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());
        byte[] head = new byte[64], body = new byte[16 * 1024];
        long sent = 0;
        Thread sender = new(() =>
        {
            for (int step = 0; step < 300; step++)
            {
                link.Send(FrameKind.Step, 1, step, head, body);
            }

            receiver.Mark();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int step = 0; step < 1000; step++)
            {
                link.Send(FrameKind.Step, 1, step, head, body);
            }

            sent = GC.GetAllocatedBytesForCurrentThread() - before;
        });
        sender.Start();
        Assert.True(sender.Join(RecordingHandler.Patience));
        await Eventually.TrueAsync(() => receiver.Frames == 1300);

        TestContext.Current.TestOutputHelper!.WriteLine($"bytes allocated per frame: sender {sent / 1000.0}, receiver {receiver.Allocated / 1000.0}");
        Assert.InRange(sent, 0, 4 * 1000);
        Assert.InRange(receiver.Allocated, 0, 4 * 1000);
    }

    /// <summary>Prints; a figure of a loaded machine is no ground to fail on.</summary>
    [Fact]
    public async Task RoundTrip_Sizes_Measured()
    {
        foreach (int bytes in new[] { 64, 16 * 1024, 1 << 20 })
        {
            EchoHandler echo = new();
            SignalHandler signal = new();
            await using LinkPair pair = new(LinkPair.Quick with { MaxFrameBytes = 2 << 20 }, router: (_, _) => new LinkDecision(_ => echo, null));
            using Link link = await pair.DialAsync();
            link.Start(signal);
            byte[] body = new byte[bytes];
            int rounds = bytes > 100_000 ? 40 : 400;
            double[] micros = new double[rounds];
            for (int i = -20; i < rounds; i++)
            {
                long start = Stopwatch.GetTimestamp();
                link.Send(FrameKind.Step, 1, i, body);
                Assert.True(signal.Wait());
                if (i >= 0)
                {
                    micros[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
                }
            }

            Array.Sort(micros);
            TestContext.Current.TestOutputHelper!.WriteLine($"round trip of {bytes} bytes: median {micros[rounds / 2]:0} us, 99 % {micros[rounds * 99 / 100]:0} us");
        }
    }

    [Fact]
    public async Task OneWay_LargeFrames_Measured()
    {
        CountingHandler receiver = new();
        await using LinkPair pair = new(LinkPair.Quick with { MaxFrameBytes = 2 << 20 }, router: (_, _) => new LinkDecision(_ => receiver, null));
        using Link link = await pair.DialAsync();
        link.Start(new RecordingHandler());
        byte[] body = new byte[1 << 20];
        link.Send(FrameKind.Step, 1, 0, body);
        Stopwatch watch = Stopwatch.StartNew();
        for (int step = 0; step < 200; step++)
        {
            link.Send(FrameKind.Step, 1, step, body);
        }

        await Eventually.TrueAsync(() => receiver.Frames == 201);
        TestContext.Current.TestOutputHelper!.WriteLine($"one way: {200 / watch.Elapsed.TotalSeconds:0} MiB/s");
    }

    private sealed class CountingHandler : ILinkHandler
    {
        private long _allocatedAt;
        private int _frames;
        private bool _marked;

        public int Frames => Volatile.Read(ref _frames);

        public long Allocated { get; private set; }

        public void Mark() => Volatile.Write(ref _marked, true);

        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            if (Volatile.Read(ref _marked))
            {
                long now = GC.GetAllocatedBytesForCurrentThread();
                _allocatedAt = _allocatedAt == 0 ? now : _allocatedAt;
                Allocated = now - _allocatedAt;
            }

            Volatile.Write(ref _frames, _frames + 1);
            link.Grant();
        }

        public void OnClosed(Link link, string reason)
        {
        }
    }

    private sealed class EchoHandler : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            link.Send(FrameKind.Step, epoch, step, payload);
            link.Grant();
        }

        public void OnClosed(Link link, string reason)
        {
        }
    }

    private sealed class SignalHandler : ILinkHandler
    {
        private readonly SemaphoreSlim _arrived = new(0);

        public bool Wait() => _arrived.Wait(RecordingHandler.Patience);

        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            link.Grant();
            _arrived.Release();
        }

        public void OnClosed(Link link, string reason)
        {
        }
    }
}
