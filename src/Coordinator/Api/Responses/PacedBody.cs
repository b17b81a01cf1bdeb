namespace Lamina.Coordinator.Api.Responses;

/// <summary>
/// Gathers what is written and sends it at whole intervals, each time filled up to a whole number of buckets with a comment, which readers of server-sent events skip. What a
/// watcher of the encrypted connection sees is then how many buckets an interval had, not how long each token is and when it came.
/// </summary>
internal sealed class PacedBody : IAsyncDisposable
{
    private const int MaxGathered = 64 << 10;

    private readonly Stream _body;
    private readonly StreamOptions _options;
    private readonly TimeProvider _time;
    private readonly long _begun;
    private readonly CancellationToken _cancellation;
    private readonly MemoryStream _gathered = new();
    private readonly List<Action> _sending = [];
    private readonly SemaphoreSlim _lock = new(1);
    private Task _flush = Task.CompletedTask;

    public PacedBody(Stream body, StreamOptions options, TimeProvider time, CancellationToken cancellation)
    {
        (_body, _options, _time, _cancellation) = (body, options, time, cancellation);
        _begun = time.GetTimestamp();
    }

    /// <param name="sending">Called before the bytes leave.</param>
    public async Task WriteAsync(ReadOnlyMemory<byte> frame, Action? sending)
    {
        bool isFull;
        await _lock.WaitAsync(_cancellation);
        try
        {
            bool isFirst = _gathered.Length == 0;
            _gathered.Write(frame.Span);
            if (sending is not null)
            {
                _sending.Add(sending);
            }

            isFull = _gathered.Length >= MaxGathered;
            _flush = isFirst ? FlushAtTickAsync() : _flush;
        }
        finally
        {
            _lock.Release();
        }

        if (isFull)
        {
            await _flush;
        }
        else if (_flush.IsFaulted || _flush.IsCanceled)
        {
            await _flush;
        }
    }

    /// <summary>Sends what is left, at its time.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await _flush;
        }
        finally
        {
            _lock.Dispose();
            await _gathered.DisposeAsync();
        }
    }

    /// <summary>How long until the next whole interval.</summary>
    internal static TimeSpan UntilTick(TimeSpan sinceBegun, TimeSpan interval) =>
        interval <= TimeSpan.Zero ? TimeSpan.Zero : TimeSpan.FromTicks(interval.Ticks - (sinceBegun.Ticks % interval.Ticks));

    /// <summary>A comment by which <paramref name="length"/> bytes become a multiple of the bucket; empty when they are one.</summary>
    internal static byte[] Padding(long length, int bucket)
    {
        if (bucket <= 0 || length % bucket == 0)
        {
            return [];
        }

        long missing = bucket - (length % bucket);
        byte[] comment = new byte[missing == 1 ? bucket + 1 : missing];
        comment.AsSpan().Fill((byte)'.');
        comment[0] = (byte)':';
        comment[^1] = (byte)'\n';
        return comment;
    }

    private async Task FlushAtTickAsync()
    {
        TimeSpan since = _time.GetElapsedTime(_begun);
        TimeSpan tick = since + UntilTick(since, TimeSpan.FromMilliseconds(_options.IntervalMilliseconds));

        // A delay drops parts of a millisecond: who trusts it leaves before the tick, and then with every token that comes until it.
        for (TimeSpan left = tick - since; left > TimeSpan.Zero; left = tick - _time.GetElapsedTime(_begun))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)), _time, _cancellation);
        }

        await _lock.WaitAsync(_cancellation);
        try
        {
            _gathered.Write(Padding(_gathered.Length, _options.PadToBytes));
            byte[] bytes = _gathered.ToArray();
            Array.Clear(_gathered.GetBuffer(), 0, bytes.Length);
            _gathered.SetLength(0);
            _sending.ForEach(count => count());
            _sending.Clear();
            await _body.WriteAsync(bytes, _cancellation);
            await _body.FlushAsync(_cancellation);
        }
        finally
        {
            _lock.Release();
        }
    }
}
