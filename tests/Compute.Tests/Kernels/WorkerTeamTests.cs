using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Kernels;

public sealed class WorkerTeamTests
{
    private readonly struct CountJob(int[] counts) : IJob
    {
        public void Execute(int chunk, int worker) => Interlocked.Increment(ref counts[chunk]);
    }

    private readonly struct FailingJob(int failing) : IJob
    {
        public void Execute(int chunk, int worker)
        {
            if (chunk == failing)
            {
                throw new InvalidOperationException($"chunk {chunk}");
            }
        }
    }

    private readonly struct MeetingJob(Barrier barrier, bool[] workers) : IJob
    {
        public void Execute(int chunk, int worker)
        {
            workers[worker] = true;
            Assert.True(barrier.SignalAndWait(TimeSpan.FromSeconds(120)));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Run_ManyJobs_ExecutesEveryChunkOnce(int threads)
    {
        using var team = new WorkerTeam(threads);
        for (int chunks = 0; chunks < 300; chunks++)
        {
            int[] counts = new int[chunks];
            team.Run(new CountJob(counts), chunks);
            Assert.All(counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void Run_ChunksThatWaitForEachOther_AreSharedByAllWorkers()
    {
        using var team = new WorkerTeam(4);
        using var barrier = new Barrier(4);
        bool[] workers = new bool[4];
        // Helpers that have not joined yet are not waited for, so give them the time to wake.
        team.Run(new MeetingJob(barrier, workers), 4);
        Assert.Equal([true, true, true, true], workers);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(13)]
    public void Run_ChunkThrows_RethrowsAndGoesOnWithTheNextJob(int failing)
    {
        using var team = new WorkerTeam(3);
        var exception = Assert.Throws<InvalidOperationException>(() => team.Run(new FailingJob(failing), 40));
        Assert.Equal($"chunk {failing}", exception.Message);
        int[] counts = new int[40];
        team.Run(new CountJob(counts), 40);
        Assert.All(counts, count => Assert.Equal(1, count));
    }

    [Fact]
    public void Run_Always_AllocatesNothing()
    {
        using var team = new WorkerTeam(2);
        int[] counts = new int[16];
        team.Run(new CountJob(counts), 16);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            team.Run(new CountJob(counts), 16);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Dispose_ParkedHelpers_End()
    {
        var team = new WorkerTeam(3);
        team.Run(new CountJob(new int[8]), 8);
        team.Dispose();
        team.Dispose();
    }

    /// <summary>
    /// A collection of garbage stops helpers between being told of a job and looking for it; job and team may have ended when they go on. One that took the number of the end for
    /// a job's waited for ever, and the team for it: once in some ten thousand teams. LAMINA_TEST_LONG=1 makes 40,000.
    /// </summary>
    [Fact]
    public void Dispose_RightAfterAJob_EndsHelpersThatCameTooLateForIt()
    {
        int teams = Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1" ? 40_000 : 500;
        using var ended = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!ended.Token.WaitHandle.WaitOne(1))
            {
                GC.Collect(0, GCCollectionMode.Forced, blocking: true);
            }
        });
        collector.Start();
        try
        {
            int[] counts = new int[2];
            for (int i = 0; i < teams; i++)
            {
                var team = new WorkerTeam(4);
                team.Run(new CountJob(counts), 2);
                var end = new Thread(team.Dispose) { IsBackground = true };
                end.Start();
                Assert.True(end.Join(TimeSpan.FromSeconds(120)), $"team {i} of {teams} has not ended after two minutes");
            }
        }
        finally
        {
            ended.Cancel();
            collector.Join();
        }
    }
}
