using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;

namespace Lamina.Coordinator.Tests.Api.Resumption;

public class EventJournalTests
{
    private static readonly byte[] s_event = new byte[936]; // 1000 with what the journal counts beside it

    [Fact]
    public async Task Read_BeforeAndWhileItIsWritten_GivesEveryEventOnce()
    {
        var journal = new EventJournal(new JournalBudget(1 << 20, () => false));
        await journal.AppendAsync([1], 0, default);
        Task<List<NumberedEvent>> early = journal.ReadAsync(0, default).ToListAsync().AsTask();
        await journal.AppendAsync([2], 0, default);
        Task<List<NumberedEvent>> late = journal.ReadAsync(1, default).ToListAsync().AsTask();
        await journal.AppendAsync([3], 0, default);
        journal.End(null);

        Assert.Equal([(1L, (byte)1), (2L, (byte)2), (3L, (byte)3)], (await early).Select(e => (e.Number, e.Json[0])));
        Assert.Equal([2L, 3L], (await late).Select(e => e.Number));
        Assert.Empty(await journal.ReadAsync(3, default).ToListAsync());
    }

    [Fact]
    public async Task Read_AnswerFailed_ThrowsAfterTheLastEvent()
    {
        var journal = new EventJournal(new JournalBudget(1 << 20, () => false));
        await journal.AppendAsync([1], 0, default);
        journal.End(ApiError.Internal());

        await using IAsyncEnumerator<NumberedEvent> events = journal.ReadAsync(0, default).GetAsyncEnumerator();
        Assert.True(await events.MoveNextAsync());
        await Assert.ThrowsAsync<ApiException>(async () => await events.MoveNextAsync());
        Assert.False(journal.IsRefusal);
    }

    [Fact]
    public async Task Append_ReaderFarBehind_WaitsForItUntilItReadsOrLeaves()
    {
        var journal = new EventJournal(new JournalBudget(1 << 20, () => false), readAhead: 2);
        for (byte i = 1; i <= 4; i++)
        {
            // Nobody reads, so nobody is behind.
            await journal.AppendAsync([i], 0, default);
        }

        IAsyncEnumerator<NumberedEvent> slow = journal.ReadAsync(0, default).GetAsyncEnumerator();
        IAsyncEnumerator<NumberedEvent> fast = journal.ReadAsync(2, default).GetAsyncEnumerator();
        await slow.MoveNextAsync();
        await fast.MoveNextAsync();
        Task append = journal.AppendAsync([5], 0, default);
        Assert.False(append.IsCompleted);
        await fast.MoveNextAsync();
        await append.WaitAsync(TimeSpan.FromSeconds(120));

        append = journal.AppendAsync([6], 0, default);
        Assert.False(append.IsCompleted);
        await fast.DisposeAsync();
        Assert.False(append.IsCompleted);
        await slow.DisposeAsync();
        await append.WaitAsync(TimeSpan.FromSeconds(120));
    }

    [Fact]
    public async Task Append_BudgetUsedUp_WaitsForTheReaderAndDropsWhatItHasRead()
    {
        var budget = new JournalBudget(2000, () => false);
        var journal = new EventJournal(budget);
        await journal.AppendAsync(s_event, 0, default);
        await journal.AppendAsync(s_event, 0, default);
        Task third = journal.AppendAsync(s_event, 0, default);
        Assert.False(third.IsCompleted);

        await using (IAsyncEnumerator<NumberedEvent> events = journal.ReadAsync(0, default).GetAsyncEnumerator())
        {
            await events.MoveNextAsync();
            Assert.False(third.IsCompleted);
            await events.MoveNextAsync();
            await third.WaitAsync(TimeSpan.FromSeconds(120));
            Assert.Equal(2000, budget.Used);
        }

        ApiException gone = await Assert.ThrowsAsync<ApiException>(async () => await journal.ReadAsync(0, default).ToListAsync());
        Assert.Equal((410, "events_expired"), (gone.Error.Status, gone.Error.Code));
        journal.Release();
        Assert.Equal(0, budget.Used);
    }

    [Fact]
    public async Task Append_BudgetUsedUpByEndedAnswers_DropsThemFirst()
    {
        EventJournal? ended = null;
        var budget = new JournalBudget(2000, () =>
        {
            ended?.Release();
            return Interlocked.Exchange(ref ended, null) is not null;
        });
        ended = new EventJournal(budget);
        await ended.AppendAsync(s_event, 0, default);
        var journal = new EventJournal(budget);
        await journal.AppendAsync(s_event, 0, default);
        await journal.AppendAsync(s_event, 0, default).WaitAsync(TimeSpan.FromSeconds(120));
        Assert.Equal(2000, budget.Used);
    }

    [Fact]
    public async Task Append_Cancelled_StopsWaiting()
    {
        var journal = new EventJournal(new JournalBudget(1000, () => false));
        await journal.AppendAsync(s_event, 0, default);
        using var stop = new CancellationTokenSource();
        Task second = journal.AppendAsync(s_event, 0, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
    }
}
