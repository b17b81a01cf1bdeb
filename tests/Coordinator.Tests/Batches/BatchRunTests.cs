using CsCheck;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;

namespace Lamina.Coordinator.Tests.Batches;

public class BatchRunTests
{
    private static Task<(int, string)> Echo(string ask, CancellationToken cancellation) => Task.FromResult((200, ask.ToUpperInvariant()));

    [Fact]
    public async Task Batch_AnswersAndRefusals_GoToTheirFilesWithExactCounts()
    {
        await using var bench = new BatchBench((ask, _) => Task.FromResult(ask == "bad" ? (400, "invalid_value") : (200, ask)));
        BatchRecord batch = await bench.EndAsync((await bench.CreateAsync("one", "bad", "two", "stream", "three")).Id);
        Assert.Equal((BatchStatus.Completed, new BatchCounts(5, 3, 2)), (batch.Status, batch.Counts));
        Assert.Equal([("id-0", 200, "one"), ("id-2", 200, "two"), ("id-4", 200, "three")], bench.Read(batch.OutputFileId).Order());
        Assert.Equal([("id-1", 400), ("id-3", 400)], bench.Read(batch.ErrorFileId).Select(line => (line.CustomId, line.Status)).Order());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(bench.Root, "runs")));
    }

    /// <summary>Whether its answer is on disk decides whether a line is charged; each is known by a name of its own, also beside lines of the same words.</summary>
    [Fact]
    public async Task Line_OnDisk_IsSettledUnderItsOwnName()
    {
        await using var bench = new BatchBench((ask, _) => Task.FromResult(ask == "bad" ? (400, "invalid_value") : (200, ask)));
        BatchRecord batch = await bench.EndAsync((await bench.CreateAsync("same", "bad", "same")).Id);
        Assert.Equal([($"{batch.Id}/id-0", true), ($"{batch.Id}/id-1", false), ($"{batch.Id}/id-2", true)], bench.Settled.Order());
    }

    [Fact]
    public async Task Batch_OnlyAnswers_HasNoErrorFile()
    {
        await using var bench = new BatchBench(Echo);
        BatchRecord batch = await bench.EndAsync((await bench.CreateAsync("a")).Id);
        Assert.NotNull(batch.OutputFileId);
        Assert.Null(batch.ErrorFileId);
    }

    [Fact]
    public async Task Batch_WrongFile_FailsWithItsProblems()
    {
        await using var bench = new BatchBench(Echo);
        StoredFile input = await bench.UploadAsync("{}\n[]\n");
        BatchRecord batch = await bench.EndAsync(bench.Batches.Create(new BatchRequest(input.Id, BatchBench.Endpoint, null, null), bench.Caller).Id);
        Assert.Equal(BatchStatus.Failed, batch.Status);
        Assert.Equal([("missing_required_parameter", 1), ("invalid_json_line", 2)], batch.Problems.Select(problem => (problem.Code, problem.Line!.Value)));
    }

    [Fact]
    public async Task Batch_ManyRequests_NeverMoreInFlightThanAllowed()
    {
        var gate = new SemaphoreSlim(0);
        await using var bench = new BatchBench(
            async (ask, cancellation) =>
            {
                await gate.WaitAsync(cancellation);
                return (200, ask);
            }, new BatchOptions { InFlight = 3 });
        BatchRecord first = await bench.CreateAsync(Enumerable.Range(0, 20).Select(i => $"a{i}"));
        BatchRecord second = await bench.CreateAsync(Enumerable.Range(0, 20).Select(i => $"b{i}"));
        await bench.UntilAsync(first.Id, _ => bench.Asked.Count == 3);
        gate.Release(40);
        await bench.EndAsync(first.Id);
        await bench.EndAsync(second.Id);
        Assert.Equal(3, bench.MostRunning);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task Batch_RefusedForTheMoment_IsTriedAgainAndNotCountedAsFailed(int status)
    {
        int refusals = 0;
        await using var bench = new BatchBench((ask, _) => Task.FromResult(Interlocked.Increment(ref refusals) <= 2 ? (status, "later") : (200, ask)));
        BatchRecord batch = await bench.CreateAsync("a");
        for (int attempt = 1; attempt <= 2; attempt++)
        {
            await bench.UntilAsync(batch.Id, _ => bench.Asked.Count == attempt);
            while (bench.Asked.Count == attempt)
            {
                bench.Time.Advance(TimeSpan.FromSeconds(1));
                await Task.Delay(1);
            }
        }

        Assert.Equal(new BatchCounts(1, 1, 0), (await bench.EndAsync(batch.Id)).Counts);
    }

    [Fact]
    public async Task Batch_WindowEnds_LeavesWhatWasAnsweredAndAnErrorForEachOther()
    {
        await using var bench = new BatchBench(async (ask, cancellation) =>
        {
            await Task.Delay(ask == "fast" ? TimeSpan.Zero : Timeout.InfiniteTimeSpan, cancellation);
            return (200, ask);
        });
        BatchRecord batch = await bench.CreateAsync("fast", "slow", "slow");
        await bench.UntilAsync(batch.Id, record => record.Counts.Completed == 1 && bench.Asked.Count == 3);
        bench.Time.Advance(TimeSpan.FromHours(24));
        batch = await bench.EndAsync(batch.Id);
        Assert.Equal((BatchStatus.Expired, new BatchCounts(3, 1, 2)), (batch.Status, batch.Counts));
        Assert.Equal([("id-0", 200, "fast")], bench.Read(batch.OutputFileId));
        Assert.Equal([("id-1", 0, "batch_expired"), ("id-2", 0, "batch_expired")], bench.Read(batch.ErrorFileId).Order());
    }

    [Fact]
    public async Task Cancel_Running_KeepsAnswersAndEndsTheRest()
    {
        await using var bench = new BatchBench(async (ask, cancellation) =>
        {
            await Task.Delay(ask == "fast" ? TimeSpan.Zero : Timeout.InfiniteTimeSpan, cancellation);
            return (200, ask);
        });
        BatchRecord batch = await bench.CreateAsync("fast", "slow", "slow");
        await bench.UntilAsync(batch.Id, record => record.Counts.Completed == 1 && bench.Asked.Count == 3);
        bench.Batches.Cancel(batch.Id);
        batch = await bench.EndAsync(batch.Id);
        Assert.Equal((BatchStatus.Cancelled, new BatchCounts(3, 1, 0)), (batch.Status, batch.Counts));
        Assert.Equal([("id-0", 200, "fast")], bench.Read(batch.OutputFileId));
        Assert.Equal(409, Assert.Throws<ApiException>(() => bench.Batches.Cancel(batch.Id)).Error.Status);
    }

    /// <summary>Whatever moment the process dies in, and however much of the journals' ends is lost with it.</summary>
    [Fact]
    public async Task Batch_KilledAnywhere_AnswersEveryRequestOnce() => await Gen.Select(Gen.Int[1, 12], Gen.Int[0, 12], Gen.Int[0, 150], Gen.Int[0, 150]).SampleAsync(
        async (requests, answeredBefore, lostOutput, lostErrors) =>
        {
            var gate = new SemaphoreSlim(answeredBefore);
            await using var bench = new BatchBench(
                async (ask, cancellation) =>
                {
                    await gate.WaitAsync(cancellation);
                    return ask.EndsWith('3') ? (400, "no") : (200, ask);
                }, new BatchOptions { InFlight = 4 });
            BatchRecord batch = await bench.CreateAsync(Enumerable.Range(0, requests).Select(i => $"ask {i}"));
            await bench.UntilAsync(batch.Id, record => record.HasEnded || record.Counts.Completed + record.Counts.Failed == Math.Min(answeredBefore, requests));
            bool ended = answeredBefore >= requests;
            if (ended)
            {
                await bench.EndAsync(batch.Id);
            }

            await bench.CloseAsync();
            if (!ended)
            {
                Truncate(Path.Combine(bench.FolderOf(batch), BatchJournal.OutputName), lostOutput);
                Truncate(Path.Combine(bench.FolderOf(batch), BatchJournal.ErrorName), lostErrors);
            }

            gate.Release(100);
            bench.Open();
            batch = await bench.EndAsync(batch.Id);
            int failed = requests > 3 ? 1 : 0;
            Assert.Equal((BatchStatus.Completed, new BatchCounts(requests, requests - failed, failed)), (batch.Status, batch.Counts));
            Assert.Equal(
                Enumerable.Range(0, requests).Select(i => $"id-{i}").Order(),
                bench.Read(batch.OutputFileId).Concat(bench.Read(batch.ErrorFileId)).Select(line => line.CustomId).Order());
        }, iter: 60, threads: 1);

    [Fact]
    public async Task Batch_KilledWhilePublishing_HasEachFileOnce()
    {
        await using var bench = new BatchBench((ask, _) => Task.FromResult(ask == "bad" ? (400, "no") : (200, ask)));
        BatchRecord batch = await bench.EndAsync((await bench.CreateAsync("a", "bad")).Id);
        await bench.CloseAsync();

        // As it was when the output had become a file, and the errors had not.
        string record = Path.Combine(bench.Root, "records", batch.Id + ".json");
        File.WriteAllText(record, File.ReadAllText(record).Replace("\"Completed\",\"Problems\"", "\"Finalizing\",\"Problems\"", StringComparison.Ordinal));
        Directory.CreateDirectory(bench.FolderOf(batch));
        File.Move(Path.Combine(bench.Root, "files", batch.ErrorFileId + ".jsonl"), Path.Combine(bench.FolderOf(batch), BatchJournal.ErrorName));
        bench.Open();
        batch = await bench.EndAsync(batch.Id);
        Assert.Equal((BatchStatus.Completed, new BatchCounts(2, 1, 1)), (batch.Status, batch.Counts));
        Assert.Equal(["id-0", "id-1"], bench.Read(batch.OutputFileId).Concat(bench.Read(batch.ErrorFileId)).Select(line => line.CustomId));
        Assert.Equal(3, bench.Batches.Files.All.Count());
    }

    [Theory]
    [InlineData(KeyRefusal.Revoked)]
    [InlineData(KeyRefusal.Unknown)]
    [InlineData(KeyRefusal.TenantSuspended)]
    [InlineData(KeyRefusal.KeySuspended)]
    public async Task Batch_KeyEndsWhileItRuns_IsCutOffAndGoesOnOnlyAfterSuspension(KeyRefusal reason)
    {
        KeyRefusal? refusal = null;
        using var ended = new CancellationTokenSource();
        await using var bench = new BatchBench(async (ask, cancellation) =>
        {
            await Task.Delay(ended.IsCancellationRequested ? TimeSpan.Zero : Timeout.InfiniteTimeSpan, cancellation);
            return (200, ask);
        });
        await bench.CloseAsync();
        bench.Access = new BatchAccess(_ => refusal, _ => refusal is null && !ended.IsCancellationRequested ? ended.Token : CancellationToken.None);
        bench.Open();
        BatchRecord batch = await bench.CreateAsync("a", "b");
        await bench.UntilAsync(batch.Id, _ => bench.Asked.Count == 2);
        refusal = reason;
        await ended.CancelAsync();
        for (int i = 0; !bench.Batches.Require(batch.Id).HasEnded && i < 5000; i++)
        {
            if (i == 100)
            {
                Assert.Equal(2, bench.Asked.Count);
                refusal = null;
            }

            bench.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(1);
        }

        Assert.Equal(reason is KeyRefusal.TenantSuspended or KeyRefusal.KeySuspended ? BatchStatus.Completed : BatchStatus.Cancelled, bench.Batches.Require(batch.Id).Status);
    }

    [Fact]
    public async Task DeleteFile_InputOfRunningBatch_IsRefusedUntilItEnds()
    {
        var gate = new TaskCompletionSource<(int, string)>();
        await using var bench = new BatchBench((_, _) => gate.Task);
        BatchRecord batch = await bench.CreateAsync("a");
        Assert.Equal(409, Assert.Throws<ApiException>(() => bench.Batches.DeleteFile(batch.InputFileId)).Error.Status);
        gate.SetResult((200, "done"));
        await bench.EndAsync(batch.Id);
        bench.Batches.DeleteFile(batch.InputFileId);
        Assert.Equal(404, Assert.Throws<ApiException>(() => bench.Batches.Files.Require(batch.InputFileId)).Error.Status);
    }

    [Fact]
    public async Task Sweep_RetentionOver_DropsFilesAndBatches()
    {
        await using var bench = new BatchBench(Echo, new BatchOptions { RetentionDays = 2 });
        BatchRecord batch = await bench.EndAsync((await bench.CreateAsync("a")).Id);
        bench.Time.Advance(TimeSpan.FromDays(2) - TimeSpan.FromSeconds(1));
        bench.Batches.Sweep();
        Assert.Equal((2, 1), (bench.Batches.Files.All.Count(), bench.Batches.All.Count()));
        bench.Time.Advance(TimeSpan.FromSeconds(1));
        bench.Batches.Sweep();
        Assert.Equal((0, 0, 0L), (bench.Batches.Files.All.Count(), bench.Batches.All.Count(), bench.Batches.Files.Bytes));
        Assert.Empty(Directory.GetFiles(Path.Combine(bench.Root, "records")));
        Assert.Throws<ApiException>(() => bench.Batches.Require(batch.Id));
    }

    [Fact]
    public async Task Limits_FilesAndBatches_AreRefusedOverThem()
    {
        var gate = new TaskCompletionSource<(int, string)>();
        await using var bench = new BatchBench((_, _) => gate.Task, new BatchOptions { MaxFileBytes = 1024, BytesPerTenant = 1500, MaxOpen = 1, MaxFiles = 3 });
        await bench.CreateAsync("a");
        Assert.Equal("too_many_batches", (await Assert.ThrowsAsync<ApiException>(() => bench.CreateAsync("b"))).Error.Code);
        Assert.Equal("file_too_large", (await Assert.ThrowsAsync<ApiException>(() => bench.UploadAsync(new string('x', 1025)))).Error.Code);
        await bench.UploadAsync(new string('x', 1024));
        Assert.Equal("too_many_files", (await Assert.ThrowsAsync<ApiException>(() => bench.UploadAsync("x"))).Error.Code);
        gate.SetResult((200, "done"));
    }

    [Fact]
    public async Task Limits_TenantsRoom_IsRefusedOverItAndGivenBack()
    {
        await using var bench = new BatchBench(Echo, new BatchOptions { MaxFileBytes = 1024, BytesPerTenant = 1500 });
        StoredFile first = await bench.UploadAsync(new string('x', 1000));
        Assert.Equal("storage_full", (await Assert.ThrowsAsync<ApiException>(() => bench.UploadAsync(new string('x', 501)))).Error.Code);
        Assert.Equal(1000, bench.Batches.Files.Bytes);
        bench.Batches.DeleteFile(first.Id);
        await bench.UploadAsync(new string('x', 1000));
    }

    [Fact]
    public async Task Open_FolderHeldByAnother_IsRefused()
    {
        await using var bench = new BatchBench(Echo);
        Assert.Throws<IOException>(bench.Open);
    }

    [Fact]
    public async Task Files_OnDisk_AreTheirOwnersAlone()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no such modes");
            return;
        }

        await using var bench = new BatchBench(Echo);
        await bench.EndAsync((await bench.CreateAsync("a")).Id);
        UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        string[] paths = [.. Directory.GetFileSystemEntries(bench.Root, "*", SearchOption.AllDirectories), bench.Root];
        Assert.True(paths.Length >= 8);
        foreach (string path in paths)
        {
            Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(path) & others);
        }
    }

    private static void Truncate(string path, int bytes)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using FileStream file = File.Open(path, FileMode.Open);
        file.SetLength(Math.Max(0, file.Length - bytes));
    }
}
