using System.Diagnostics;

namespace Lamina.Cluster.Links;

public sealed partial class Link
{
    /// <summary>Data frames that the peer may still send.</summary>
    private int _granted;

    private Stage _stage;
    private long _roundTripTicks;

    private enum Stage { Idle, Started, Released }

    /// <summary>Round trip of the last ping; zero before the first.</summary>
    public TimeSpan RoundTrip => new(Interlocked.Read(ref _roundTripTicks));

    /// <summary>
    /// Starts receiving. The handler's methods run on the link's thread; a data frame's credit returns to the sender when the handler calls
    /// <see cref="Grant"/>, which it does once it has room for the next.
    /// </summary>
    public void Start(ILinkHandler handler)
    {
        bool alive = Begin();
        new Thread(() => Run(handler, alive), 512 * 1024) { IsBackground = true, Name = $"link {Hello.Purpose} {Peer.Name}" }.Start();
    }

    /// <summary>As <see cref="Start"/>, on the calling thread until the link is closed.</summary>
    internal void Run(ILinkHandler handler) => Run(handler, Begin());

    /// <summary>False when the link was closed before it was started.</summary>
    private bool Begin()
    {
        Stage before = Interlocked.CompareExchange(ref _stage, Stage.Started, Stage.Idle);
        return before != Stage.Started ? before == Stage.Idle : throw new InvalidOperationException("the link is already started");
    }

    private void Run(ILinkHandler handler, bool alive)
    {
        if (alive)
        {
            ClusterMetrics.OpenLinks.Add(1);
            LinkPulse.Add(this);
            Grant(_options.Credits);
            Receive(handler);
            ClusterMetrics.OpenLinks.Add(-1);
        }

        // The handler hears of it first: lingering until the peer has closed too is nobody's business but ours.
        try
        {
            handler.OnClosed(this, _closed!);
        }
        catch (Exception e)
        {
            _options.Log?.Invoke($"closing of the link to {Peer.Name} could not be handled: {e.GetType().Name}: {e.Message}");
        }

        Drain();
        LinkPulse.Remove(this);
        Release();
    }

    private void Receive(ILinkHandler handler)
    {
        try
        {
            while (IsOpen)
            {
                ReadOnlySpan<byte> payload = _frames.Read(out FrameHeader header);
                ClusterMetrics.CountReceived(Hello.Purpose, FrameHeader.Size + header.Length);
                if (header.Kind.IsForHandler())
                {
                    TakeGranted(header.Kind);
                    Deliver(handler, header, payload);
                }
                else
                {
                    HandleOwn(header, payload);
                }
            }
        }
        catch (LinkClosedException e)
        {
            Close(e.Message);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            MarkClosed(LinkText.Describe(e));
            _frames.Abort();
        }
    }

    private void Deliver(ILinkHandler handler, FrameHeader header, ReadOnlySpan<byte> payload)
    {
        try
        {
            handler.OnFrame(this, header.Kind, header.Epoch, header.Step, payload);
        }
        catch (Exception e)
        {
            // A handler's bug ends its link, not the process.
            _options.Log?.Invoke($"{header.Kind} frame of {Peer.Name} could not be handled: {e.GetType().Name}: {e.Message}");
            Close($"{header.Kind} frame could not be handled: {(e is LinkClosedException or InvalidDataException ? e.Message : e.GetType().Name)}");
        }
    }

    private void Drain()
    {
        try
        {
            _frames.Drain();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
        }
    }

    private void HandleOwn(FrameHeader header, ReadOnlySpan<byte> payload)
    {
        switch (header.Kind)
        {
            case FrameKind.Ping:
                TryWriteOwn(FrameKind.Pong, header.Step, payload);
                FlushGrants();
                break;
            case FrameKind.Pong when payload.Length == sizeof(long):
                long ticks = Math.Max(0, Stopwatch.GetElapsedTime(BitConverter.ToInt64(payload)).Ticks);
                Interlocked.Exchange(ref _roundTripTicks, ticks);
                ClusterMetrics.ObserveRoundTrip(Hello.Purpose, new TimeSpan(ticks));
                break;
            case FrameKind.Credit:
                AddCredits(header.Step);
                break;
            case FrameKind.Close:
                MarkClosed($"closed by {Peer.Name}: {LinkText.Decode(payload)}");
                _frames.Abort();
                break;
            default:
                throw new LinkClosedException($"{header.Kind} frame came out of turn");
        }
    }

    private void AddCredits(int frames)
    {
        lock (_crediting)
        {
            if (frames <= 0 || frames > MaxCredits - _credits)
            {
                throw new LinkClosedException($"credit for {frames} frames is out of range");
            }

            _credits += frames;
            Monitor.PulseAll(_crediting);
        }
    }

    private void TakeGranted(FrameKind kind)
    {
        if (kind.IsData() && Interlocked.Decrement(ref _granted) < 0)
        {
            throw new LinkClosedException($"{kind} frame came without credit");
        }
    }
}
