using System.Runtime.CompilerServices;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// The events of one answer, for any number of readers at any place. Keeps all of them while the budget lasts; beyond it, drops what every present reader has passed,
/// and makes the writer wait while there is nothing to drop. While somebody reads, the writer also waits for the reader who is furthest, so that a slow one slows the computation
/// down; while nobody does, it goes on.
/// </summary>
/// <param name="readAhead">Events that may wait for that reader.</param>
internal sealed class EventJournal(JournalBudget budget, int readAhead = int.MaxValue)
{
    /// <summary>What an event costs beside its bytes.</summary>
    private const int EventOverhead = 64;

    /// <summary>Memory that another answer gives back brings no signal here.</summary>
    private static readonly TimeSpan s_budgetRetry = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private readonly List<Entry> _events = [];
    private readonly List<Reader> _readers = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _dropped;
    private long _droppedTokens;
    private bool _ended;
    private bool _released;
    private ApiError? _error;

    /// <summary>True when the answer failed before its first event.</summary>
    public bool IsRefusal
    {
        get
        {
            lock (_lock)
            {
                return _error is not null && _dropped + _events.Count == 0;
            }
        }
    }

    private readonly record struct Entry(byte[] Json, long Tokens);

    /// <param name="tokens">Generated tokens in all events up to this one.</param>
    public async Task AppendAsync(byte[] json, long tokens, CancellationToken cancellation)
    {
        while (Ahead() is { } read)
        {
            await read.WaitAsync(cancellation);
        }

        while (!budget.TryTake(json.Length + EventOverhead, always: IsEmpty()))
        {
            Task changed;
            lock (_lock)
            {
                changed = _changed.Task;
            }

            if (!DropRead())
            {
                await Task.WhenAny(changed, Task.Delay(s_budgetRetry, cancellation));
                cancellation.ThrowIfCancellationRequested();
            }
        }

        lock (_lock)
        {
            _events.Add(new Entry(json, tokens));
            SignalChange();
        }
    }

    /// <summary>No further events; the first call counts.</summary>
    /// <param name="error">Why the answer is not whole.</param>
    public void End(ApiError? error)
    {
        lock (_lock)
        {
            _error = _ended ? _error : error;
            _ended = true;
            SignalChange();
        }
    }

    /// <summary>Gives the memory back to the budget; present readers may still read to the end.</summary>
    public void Release()
    {
        lock (_lock)
        {
            if (!_released)
            {
                _released = true;
                budget.Return(_events.Sum(Cost));
            }
        }
    }

    /// <summary>The events after a number, as they come, to the end. Throws <see cref="ApiException"/> when the answer failed or the events are not kept any more.</summary>
    public async IAsyncEnumerable<NumberedEvent> ReadAsync(long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var reader = new Reader { Next = after + 1 };
        lock (_lock)
        {
            _readers.Add(reader);
        }

        try
        {
            while (true)
            {
                (NumberedEvent? next, Task changed) = Next(reader);
                if (next is { } numbered)
                {
                    yield return numbered;
                    Advance(reader);
                }
                else if (changed.IsCompleted)
                {
                    yield break;
                }
                else
                {
                    await changed.WaitAsync(cancellation);
                }
            }
        }
        finally
        {
            lock (_lock)
            {
                _readers.Remove(reader);
                SignalChange();
            }
        }
    }

    private static long Cost(Entry entry) => entry.Json.Length + EventOverhead;

    /// <summary>The reader's next event, or null with what to wait for: a completed task at the end.</summary>
    private (NumberedEvent? Event, Task Changed) Next(Reader reader)
    {
        lock (_lock)
        {
            long index = reader.Next - 1 - _dropped;
            if (index < 0)
            {
                throw ApiError.EventsExpired(_dropped).AsException();
            }

            if (index < _events.Count)
            {
                Entry entry = _events[(int)index];
                return (new NumberedEvent(reader.Next, entry.Json, index == 0 ? _droppedTokens : _events[(int)index - 1].Tokens, entry.Tokens), Task.CompletedTask);
            }

            return !_ended ? (null, _changed.Task)
                : _error is null ? (null, Task.CompletedTask)
                : throw _error.AsException();
        }
    }

    private void Advance(Reader reader)
    {
        lock (_lock)
        {
            reader.Next++;
            SignalChange();
        }
    }

    /// <summary>What to wait for while the furthest reader is too far behind; else null.</summary>
    private Task? Ahead()
    {
        lock (_lock)
        {
            return _readers.Count > 0 && _dropped + _events.Count - (_readers.Max(reader => reader.Next) - 1) >= readAhead ? _changed.Task : null;
        }
    }

    private bool IsEmpty()
    {
        lock (_lock)
        {
            return _events.Count == 0;
        }
    }

    private bool DropRead()
    {
        lock (_lock)
        {
            long read = _readers.Count == 0 ? 0 : Math.Min(_readers.Min(reader => reader.Next) - 1 - _dropped, _events.Count);
            if (read <= 0)
            {
                return false;
            }

            if (!_released)
            {
                budget.Return(_events.Take((int)read).Sum(Cost));
            }

            _droppedTokens = _events[(int)read - 1].Tokens;
            _events.RemoveRange(0, (int)read);
            _dropped += read;
            return true;
        }
    }

    private void SignalChange()
    {
        _changed.TrySetResult();
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Reader
    {
        public long Next { get; set; }
    }
}
