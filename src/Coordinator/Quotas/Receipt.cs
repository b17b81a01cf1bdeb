namespace Lamina.Coordinator.Quotas;

/// <summary>
/// What a client has been given of one answer. Each event is counted here before it is handed to the connection; one that is sent again is not counted again. Thread-safe.
/// </summary>
internal sealed class Receipt
{
    private readonly UsageLedger? _ledger;
    private readonly Lock _lock = new();
    private readonly int _slot;
    private readonly (bool Begun, long Start, long End) _before;

    /// <summary>Tokens of the answer that were counted: from here up to <see cref="_end"/>.</summary>
    private long _start;
    private long _end;
    private bool _begun;
    private bool _closed;

    /// <param name="ledger">Null where no state is kept.</param>
    /// <param name="begun">Whether this goes on with a request that was charged already: for the tokens from <paramref name="start"/> up to <paramref name="end"/>.</param>
    public Receipt(UsageLedger? ledger, Guid id, int slot, bool begun, long start, long end)
    {
        _ledger = ledger;
        _slot = slot;
        Id = id;
        _before = (_begun, _start, _end) = (begun, start, end);
    }

    public Guid Id { get; }

    /// <summary>
    /// Whether tokens before the first event sent here count too: another coordinator sent them, and counts them in the same row, which holds the larger of both numbers.
    /// </summary>
    public bool FromBegin { get; init; }

    public long Charged
    {
        get
        {
            lock (_lock)
            {
                return _end - _start;
            }
        }
    }

    /// <summary>An event is about to be sent. A client that goes on with an answer is charged for what it gets here: what it has it got, and was charged for, before.</summary>
    /// <param name="before">Tokens in all events before it.</param>
    /// <param name="tokens">Tokens in all events up to it.</param>
    public void Sending(long before, long tokens)
    {
        lock (_lock)
        {
            if (_closed || (_begun && before >= _start && tokens <= _end))
            {
                return;
            }

            if (!_begun)
            {
                (_start, _end) = FromBegin ? (0, 0) : (before, before);
            }

            // Whoever goes back before the start is charged the whole way up to it at once.
            _begun = true;
            (_start, _end) = (Math.Min(_start, before), Math.Max(_end, tokens));
            _ledger?.Store(_slot, _begun, _start, _end);
        }
    }

    /// <summary>Nothing of what was counted here reached anybody after all, nor will it: it is as it was before.</summary>
    public void Retract()
    {
        lock (_lock)
        {
            if (_closed)
            {
                return;
            }

            (_begun, _start, _end) = _before;
            _ledger?.Store(_slot, _begun, _start, _end);
        }

        Close(UsageOutcome.Interrupted);
    }

    /// <summary>No more will be sent. The first call counts.</summary>
    public void Close(UsageOutcome outcome)
    {
        lock (_lock)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
        }

        _ledger?.Close(_slot, outcome);
    }
}
