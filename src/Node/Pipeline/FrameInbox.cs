using Lamina.Cluster.Links;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Frames that wait for a compute thread, copied out of the link's buffer into aligned memory that is reused. Bounded: a peer that sends more than it was given credit
/// for is refused, and memory stays what the plan implies.
/// </summary>
/// <param name="maxBytes">The longest frame that the plan can bring; a longer one is refused before it is copied.</param>
internal sealed class FrameInbox(Doorbell doorbell, int capacity, long maxBytes = long.MaxValue) : IFrameSink, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Queue<Frame> _waiting = [];
    private readonly Stack<Frame> _spare = [];
    private bool _closed;

    /// <summary>Frames waiting.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Count;
            }
        }
    }

    public void Send(FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => Put(null, kind, step, head, body);

    /// <summary>Throws <see cref="InvalidDataException"/> when the inbox is full or the frame too long, <see cref="LinkClosedException"/> when it is closed.</summary>
    /// <param name="link">Where the credit goes once the frame is consumed.</param>
    public void Put(Link? link, FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        if ((long)head.Length + body.Length > maxBytes)
        {
            throw new InvalidDataException($"{kind} frame of {(long)head.Length + body.Length} bytes, the plan's longest has {maxBytes}");
        }

        Frame? frame;
        lock (_gate)
        {
            ThrowIfClosed();
            if (_waiting.Count >= capacity)
            {
                throw new InvalidDataException($"more than {capacity} frames wait for the stage");
            }

            _spare.TryPop(out frame);
        }

        frame ??= new Frame();
        frame.Fill(link, kind, step, head, body);
        lock (_gate)
        {
            if (!_closed)
            {
                _waiting.Enqueue(frame);
                frame = null;
            }
        }

        frame?.Dispose();
        doorbell.Ring();
    }

    public bool TryTake(out Frame frame)
    {
        lock (_gate)
        {
            return _waiting.TryDequeue(out frame!);
        }
    }

    /// <summary>The frame's memory may be filled again, and its sender may send another.</summary>
    public void Return(Frame frame)
    {
        Link? link = frame.Link;
        frame.Clear();
        lock (_gate)
        {
            if (!_closed)
            {
                _spare.Push(frame);
                frame = null!;
            }
        }

        frame?.Dispose();
        link?.Grant();
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _closed = true;
            foreach (Frame frame in _waiting.Concat(_spare))
            {
                frame.Dispose();
            }

            _waiting.Clear();
            _spare.Clear();
        }

        doorbell.Ring();
    }

    private void ThrowIfClosed()
    {
        if (_closed)
        {
            throw new LinkClosedException("the stage has stopped");
        }
    }
}

/// <summary>One received frame in aligned memory.</summary>
internal sealed class Frame : IDisposable
{
    private NativeBuffer? _memory;
    private int _length;

    public Link? Link { get; private set; }
    public FrameKind Kind { get; private set; }
    public int Step { get; private set; }

    public ReadOnlySpan<byte> Payload => _memory!.Bytes(_length);

    public void Fill(Link? link, FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        (Link, Kind, Step) = (link, kind, step);
        _length = checked(head.Length + body.Length);
        if (_memory is null || _memory.Length < _length)
        {
            _memory?.Dispose();
            _memory = new NativeBuffer(_length);
        }

        Span<byte> payload = _memory.Bytes(_length);
        head.CopyTo(payload);
        body.CopyTo(payload[head.Length..]);
    }

    /// <summary>Overwrites what it held: it may be long until it is filled again.</summary>
    public void Clear() => _memory?.Bytes(_length).Clear();

    public void Dispose() => _memory?.Dispose();
}
