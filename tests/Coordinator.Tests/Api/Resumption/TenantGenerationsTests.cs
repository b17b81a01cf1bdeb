using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.Tests.Quotas;
using Lamina.Coordinator.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Api.Resumption;

public class TenantGenerationsTests
{
    private static readonly Caller s_alice = new(new TenantId("acme"), "alice");
    private static readonly Caller s_bob = new(new TenantId("acme"), "bob");
    private static readonly byte[] s_hash = [1];

    private readonly ManualTime _time = new();
    private readonly TenantGenerations _generations;
    private readonly Channel<byte[]> _source = Channel.CreateUnbounded<byte[]>();
    private readonly TaskCompletionSource _cancelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _started;

    public TenantGenerationsTests() =>
        _generations = new TenantGenerations(new ResumptionOptions { RetentionSeconds = 100, GraceSeconds = 10 }, _time, NullLogger.Instance);

    [Fact]
    public async Task Join_SameKeyTwice_RunsOnceAndBothReadAll()
    {
        RetainedGeneration first = Join(s_alice, "k");
        RetainedGeneration second = Join(s_alice, "k");
        Task<List<NumberedEvent>> reading = first.ReadAsync(0, default).ToListAsync().AsTask();
        _source.Writer.TryWrite([1]);
        _source.Writer.Complete();

        Assert.Same(first, second);
        Assert.Equal(1, _started);
        Assert.Equal(await reading, await second.ReadAsync(0, default).ToListAsync());
    }

    [Fact]
    public void Join_SameKeyForAnotherRequest_IsRefused()
    {
        Join(s_alice, "k");
        ApiException refused = Assert.Throws<ApiException>(() => _generations.Join(s_alice, "k", [2], Pending, AdmitAsync));
        Assert.Equal((422, "idempotency_key_reused"), (refused.Error.Status, refused.Error.Code));
    }

    [Trait("Attack", "C8")]
    [Fact]
    public void Join_AnotherCallersKey_StartsAGenerationOfItsOwn()
    {
        RetainedGeneration alices = Join(s_alice, "k");
        Assert.NotSame(alices, Join(s_bob, "k"));
        Assert.Throws<ApiException>(() => _generations.Find(s_bob, alices.Id));
        Assert.Throws<ApiException>(() => _generations.Find(new Caller(new TenantId("other"), "alice"), alices.Id));
        Assert.Same(alices, _generations.Find(s_alice, alices.Id));
    }

    [Fact]
    public void Join_RequestThatIsRefused_LeavesTheKeyFree()
    {
        Assert.Throws<ApiException>(() => _generations.Join(s_alice, "k", s_hash, () => throw ApiError.ModelNotFound().AsException(), AdmitAsync));
        Join(s_alice, "k");
        Assert.Equal(1, _started);
    }

    [Fact]
    public async Task Join_AfterARefusalFromThePipeline_StartsAnew()
    {
        RetainedGeneration refused = Join(s_alice, "k");
        Task<List<NumberedEvent>> reading = refused.ReadAsync(0, default).ToListAsync().AsTask();
        _source.Writer.Complete(ApiError.Overloaded("full").AsException());
        await Assert.ThrowsAsync<ApiException>(() => reading);
        await UntilAsync(() => IsGone(refused));
        Assert.NotSame(refused, Join(s_alice, "k"));
    }

    [Fact]
    public async Task Read_NobodyComesBackWithinTheGrace_IsCancelledAndForgotten()
    {
        RetainedGeneration generation = Join(s_alice, "k");
        await using (IAsyncEnumerator<NumberedEvent> events = generation.ReadAsync(0, default).GetAsyncEnumerator())
        {
            _source.Writer.TryWrite([1]);
            await events.MoveNextAsync();
            _time.Advance(TimeSpan.FromSeconds(60));
            Assert.False(_cancelled.Task.IsCompleted);
        }

        _time.Advance(TimeSpan.FromSeconds(9));
        Assert.False(_cancelled.Task.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(2));
        await _cancelled.Task.WaitAsync(TimeSpan.FromSeconds(120));
        await UntilAsync(() => IsGone(generation));
    }

    [Fact]
    public async Task Find_AfterTheRetention_IsGoneAndItsMemoryFree()
    {
        RetainedGeneration generation = Join(s_alice, "k");
        _source.Writer.TryWrite([1]);
        _source.Writer.Complete();
        await generation.ReadAsync(0, default).ToListAsync();
        await UntilAsync(() => generation.EndedFor is not null);
        _time.Advance(TimeSpan.FromSeconds(99));
        Assert.Same(generation, _generations.Find(s_alice, generation.Id));
        Assert.True(_generations.RetainedBytes > 0);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(IsGone(generation));
        Assert.Equal(0, _generations.RetainedBytes);
    }

    [Fact]
    public async Task Remove_WhileItRuns_CancelsItAndTellsItsReaders()
    {
        RetainedGeneration generation = Join(s_alice, "k");
        Task<List<NumberedEvent>> reading = generation.ReadAsync(0, default).ToListAsync().AsTask();
        _generations.Remove(generation);
        Assert.Equal("generation_cancelled", (await Assert.ThrowsAsync<ApiException>(() => reading)).Error.Code);
        await _cancelled.Task.WaitAsync(TimeSpan.FromSeconds(120));
        Assert.True(IsGone(generation));
    }

    /// <summary>A row of the ledger is held for each answer that is kept: those that nobody reads make room, oldest first, and nothing else does.</summary>
    [Trait("Attack", "R1")]
    [Fact]
    public async Task Join_BeyondTheMostAnswers_EvictsTheOldestThatNobodyReads()
    {
        var generations = new TenantGenerations(new ResumptionOptions { RetentionSeconds = 100, GraceSeconds = 10 }, _time, NullLogger.Instance, mostAnswers: 3);
        _source.Writer.TryWrite([1]);
        RetainedGeneration read = generations.Join(s_alice, "read", s_hash, Pending, AdmitAsync);
        await using IAsyncEnumerator<NumberedEvent> reading = read.ReadAsync(0, default).GetAsyncEnumerator();
        await reading.MoveNextAsync();
        _source.Writer.Complete();
        await UntilAsync(() => read.EndedFor is not null);
        var unread = new List<RetainedGeneration>();
        for (int i = 0; i < 4; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            RetainedGeneration next = generations.Join(s_alice, $"unread {i}", s_hash, Pending, AdmitAsync);
            await UntilAsync(() => next.EndedFor is not null);
            unread.Add(next);
        }

        Assert.Equal([false, false, true, true], unread.Select(one => generations.TryFind(s_alice, one.Id) is not null));
        Assert.NotNull(generations.TryFind(s_alice, read.Id));
    }

    [Fact]
    public void Join_WhileTheMostAnswersAreUnderWay_IsRefused()
    {
        var generations = new TenantGenerations(new ResumptionOptions { RetentionSeconds = 100, GraceSeconds = 10 }, _time, NullLogger.Instance, mostAnswers: 2);
        generations.Join(s_alice, "1", s_hash, Pending, AdmitAsync);
        generations.Join(s_alice, "2", s_hash, Pending, AdmitAsync);
        ApiException refused = Assert.Throws<ApiException>(() => generations.Join(s_bob, "3", s_hash, Pending, AdmitAsync));
        Assert.Equal((429, 2), (refused.Error.Status, refused.Error.RetryAfterSeconds));
    }

    /// <summary>A reader reads on when its answer is forgotten, so it is charged on, too.</summary>
    [Fact]
    public async Task Remove_WhileItIsRead_ChargesWhatIsStillRead()
    {
        RetainedGeneration generation = Join(s_alice, "k");
        _source.Writer.TryWrite([1]);
        _source.Writer.TryWrite([2]);
        _source.Writer.Complete();
        await using IAsyncEnumerator<NumberedEvent> events = generation.ReadAsync(0, default).GetAsyncEnumerator();
        Assert.True(await events.MoveNextAsync());
        generation.Receipt!.Sending(0, 1);
        await UntilAsync(() => generation.EndedFor is not null);
        _generations.Remove(generation);
        Assert.True(await events.MoveNextAsync());
        generation.Receipt.Sending(1, 3);
        Assert.Equal(3, generation.Receipt.Charged);

        // The last reader has gone: nothing that comes after is read, nor counted.
        Assert.False(await events.MoveNextAsync());
        await events.DisposeAsync();
        generation.Receipt.Sending(3, 9);
        Assert.Equal(3, generation.Receipt.Charged);
        ApiException late = await Assert.ThrowsAsync<ApiException>(() => generation.ReadAsync(0, default).ToListAsync().AsTask());
        Assert.Equal("generation_not_found", late.Error.Code);
    }

    private RetainedGeneration Join(Caller caller, string key) => _generations.Join(caller, key, s_hash, Pending, AdmitAsync);

    private static Task<MeteredAnswer> AdmitAsync(PendingAnswer answer, CancellationToken cancellation) => Admission.WithoutLimitsAsync(s_alice, answer);

    private PendingAnswer Pending()
    {
        _started++;
        return new PendingAnswer($"gen-{_started}", true, 0, null, RunAsync) { Meter = new AnswerMeter("m", "sha256:0", new RequestCost(1, 1, 1, 1)) };
    }

    private async IAsyncEnumerable<byte[]> RunAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (await NextAsync(cancellation) is { } json)
        {
            yield return json;
        }
    }

    private async Task<byte[]?> NextAsync(CancellationToken cancellation)
    {
        try
        {
            return await _source.Reader.ReadAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            _cancelled.TrySetResult();
            throw;
        }
        catch (ChannelClosedException e)
        {
            return e.InnerException is ApiException cause ? throw cause : null;
        }
    }

    private bool IsGone(RetainedGeneration generation)
    {
        try
        {
            _generations.Find(generation.Owner, generation.Id);
            return false;
        }
        catch (ApiException e)
        {
            return e.Error.Code == "generation_not_found";
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (!condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }
}
