using System.Runtime.CompilerServices;
using Lamina.Coordinator.Quotas;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// A generation that outlives the connection that asked for it: it writes its journal on its own and is cancelled when nobody has read it for the length of the grace.
/// </summary>
internal sealed class RetainedGeneration
{
    private readonly EventJournal _journal;
    private readonly TimeProvider _time;
    private readonly TimeSpan _grace;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly ITimer _abandoned;
    private int _readers;
    private volatile bool _released;
    private volatile bool _moved;
    private long _endedAt;

    /// <param name="admit">Reserves what the answer may cost.</param>
    /// <param name="ended">Called once, when the last event is in the journal.</param>
    /// <param name="request">What it follows from; null when it can be gone on with nowhere else.</param>
    /// <param name="admitted">Called once it is admitted; its first event waits for that.</param>
    public RetainedGeneration(
        Caller owner, string key, PendingAnswer answer, Func<PendingAnswer, CancellationToken, Task<MeteredAnswer>> admit, JournalBudget budget, int readAhead, TimeSpan grace,
        TimeProvider time, ILogger logger, Action<RetainedGeneration> ended, KeptRequest? request = null, Func<RetainedGeneration, CancellationToken, Task>? admitted = null)
    {
        Request = request;
        Model = answer.Meter.Digest;
        Owner = owner;
        Key = key;
        (Id, Stream, Typed, Seed, User) = (answer.Id, answer.Stream, answer.Typed, answer.Seed, answer.User);
        _journal = new EventJournal(budget, readAhead);
        _time = time;
        _grace = grace;
        _abandoned = time.CreateTimer(_ => Cancel(), null, grace, Timeout.InfiniteTimeSpan);
        _ = Task.Run(() => RunAsync(answer, admit, admitted, logger, ended));
    }

    public Caller Owner { get; }

    /// <summary>What it follows from; null when it can be gone on with nowhere else.</summary>
    public KeptRequest? Request { get; }

    /// <summary>Digest of the model that makes it.</summary>
    public string Model { get; }

    /// <summary>The owner's own key.</summary>
    public string Key { get; }

    public string Id { get; }

    public bool Stream { get; }

    public bool Typed { get; }

    public ulong Seed { get; }

    public string? User { get; }

    /// <summary>What its readers have been given; null until it was admitted.</summary>
    public Receipt? Receipt { get; private set; }

    /// <summary>The row of the ledger that it is charged in; empty until it was admitted.</summary>
    public Guid Usage => Receipt?.Id ?? Guid.Empty;

    /// <summary>What its owner had left when it was admitted.</summary>
    public RateLimits? Limits { get; private set; }

    /// <summary>True when it failed before its first event, so that a repeated request should start anew.</summary>
    public bool IsRefusal => _journal.IsRefusal;

    /// <summary>True when it ended because its caller ended it or did not come back.</summary>
    public bool IsCancelled { get; private set; }

    /// <summary>Whether somebody reads it at the moment.</summary>
    public bool IsRead
    {
        get
        {
            lock (_lock)
            {
                return _readers > 0;
            }
        }
    }

    /// <summary>Time since the end; null while it runs.</summary>
    public TimeSpan? EndedFor => Interlocked.Read(ref _endedAt) is long stamp and not 0 ? _time.GetElapsedTime(stamp) : null;

    /// <summary>The events after a number; while somebody is in here the generation goes on.</summary>
    public async IAsyncEnumerable<NumberedEvent> ReadAsync(long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_released && Receipt is not null && !IsRefusal)
            {
                // Its row is closed: what would be read now could not be counted.
                throw (_moved ? ApiError.GenerationMoved() : IsCancelled ? ApiError.GenerationCancelled() : ApiError.GenerationNotFound()).AsException();
            }

            _readers++;
            _abandoned.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        try
        {
            await foreach (NumberedEvent next in _journal.ReadAsync(after, cancellation))
            {
                yield return next;
            }
        }
        finally
        {
            lock (_lock)
            {
                if (--_readers == 0)
                {
                    _abandoned.Change(_grace, Timeout.InfiniteTimeSpan);
                }
            }

            if (_released)
            {
                CloseReceipt();
            }
        }
    }

    /// <summary>Ends it at once; does nothing after its end.</summary>
    public void Cancel()
    {
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended in this moment.
        }
    }

    /// <summary>Ends it because another coordinator goes on with it; those who read it here are told so.</summary>
    public void GiveWay()
    {
        _moved = true;
        Cancel();
    }

    /// <summary>Gives its memory back; it is found no more. Who reads it at the moment may read on to the end, and is charged for it.</summary>
    public void Release()
    {
        lock (_lock)
        {
            _released = true;
        }

        Cancel();
        _abandoned.Dispose();
        _journal.Release();
        CloseReceipt();
    }

    /// <summary>A reader has had all of it: there is nothing left to count.</summary>
    public void Delivered() => Receipt?.Close(UsageOutcome.Completed);

    /// <summary>Unless somebody still reads: the last of them does it.</summary>
    private void CloseReceipt()
    {
        if (!IsRead)
        {
            Receipt?.Close(IsCancelled ? UsageOutcome.Cancelled : UsageOutcome.Completed);
        }
    }

    private async Task RunAsync(
        PendingAnswer answer, Func<PendingAnswer, CancellationToken, Task<MeteredAnswer>> admit, Func<RetainedGeneration, CancellationToken, Task>? admitted, ILogger logger,
        Action<RetainedGeneration> ended)
    {
        ApiError? error = null;
        try
        {
            using MeteredAnswer metered = await admit(answer, _stop.Token);
            (Receipt, Limits) = (metered.Receipt, metered.Limits);
            if (admitted is not null)
            {
                await admitted(this, _stop.Token);
            }

            await foreach (NumberedEvent next in metered.RunAsync(_stop.Token))
            {
                await _journal.AppendAsync(next.Json, next.Tokens, _stop.Token);
            }
        }
        catch (ApiException e)
        {
            error = e.Error;
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            error = _moved ? ApiError.GenerationMoved() : ApiError.GenerationCancelled();
            IsCancelled = true;
        }
        catch (Exception e)
        {
            logger.LogError(e, "a generation failed");
            error = ApiError.Internal();
        }

        Interlocked.Exchange(ref _endedAt, _time.GetTimestamp());
        _journal.End(error);
        _stop.Dispose();
        ended(this);
        if (_released)
        {
            CloseReceipt();
        }
    }
}
