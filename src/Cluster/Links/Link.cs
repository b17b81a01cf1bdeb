using System.Diagnostics;
using Lamina.Cluster.Identity;

namespace Lamina.Cluster.Links;

/// <summary>
/// One mutual-TLS 1.3 stream between two processes of a cell: length-prefixed frames with a 16-byte header (length u32, kind u8, flags u8, reserved u16,
/// epoch u32, step u32; little-endian), credits counted in frames, hard size limits. Sending is thread-safe and synchronous; receiving runs on the link's own thread.
/// A silent peer is noticed by pings within <c>LinkOptions.SilenceLimit</c>.
/// </summary>
public sealed partial class Link : IDisposable, IPulsed
{
    // A peer that grants more than anyone can use is broken.
    private const int MaxCredits = 1 << 20;
    private const int CloseGraceMs = 1000;

    private readonly FrameStream _frames;
    private readonly LinkOptions _options;
    private readonly CertificateProvider _certificates;
    private readonly PeerHandshake _handshake;

    /// <summary>Held while writing a frame.</summary>
    private readonly object _sending = new();

    /// <summary>Guards <see cref="_credits"/>; waited on by senders without credit.</summary>
    private readonly object _crediting = new();

    private int _credits;
    private int _pendingGrant;
    private long _sentAt = Environment.TickCount64;
    private string? _closed;
    private long _closeDue = long.MaxValue;

    private int _certificatesVersion;

    internal Link(FrameStream frames, LinkOptions options, CertificateProvider certificates, PeerHandshake handshake, LinkHello hello)
    {
        _frames = frames;
        _options = options;
        _certificates = certificates;
        _certificatesVersion = certificates.Version;
        _handshake = handshake;
        Hello = hello;
        Peer = handshake.Peer!;
    }

    public LinkHello Hello { get; }

    /// <summary>Identity in the peer's certificate.</summary>
    public PeerIdentity Peer { get; }

    public bool IsOpen => Volatile.Read(ref _closed) is null;

    /// <summary>Data frames that may be sent now without waiting.</summary>
    public int Credits => Volatile.Read(ref _credits);

    /// <summary>
    /// Sends one frame, its payload given in two parts so that rows need no copy. Data frames (Step, Sampled, Submit, TokensGenerated, BlobChunk) take a
    /// credit and block while none is left. Throws <see cref="LinkClosedException"/> when the link is or becomes closed.
    /// </summary>
    public void Send(FrameKind kind, int epoch, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body = default)
    {
        long length = (long)head.Length + body.Length;
        if (!kind.IsForHandler())
        {
            throw new ArgumentException($"{kind} is a frame of the link itself", nameof(kind));
        }

        if (length > _options.MaxFrameBytes)
        {
            throw new ArgumentException($"{kind} frame of {length} bytes is over the limit of {_options.MaxFrameBytes}", nameof(body));
        }

        if (kind.IsData())
        {
            TakeCredit();
        }

        lock (_sending)
        {
            ThrowIfClosed();
            Write(new FrameHeader((uint)length, kind, epoch, step), head, body);
        }

        FlushGrants();
    }

    /// <summary>Gives the sender credit for <paramref name="frames"/> more data frames. Never blocks.</summary>
    public void Grant(int frames = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(frames);
        Interlocked.Add(ref _pendingGrant, frames);
        FlushGrants();
    }

    /// <summary>Closes with a reason for the peer's log; idempotent, never throws.</summary>
    public void Close(string reason)
    {
        if (!MarkClosed(reason))
        {
            return;
        }

        bool told = false;
        if (Monitor.TryEnter(_sending))
        {
            try
            {
                byte[] text = LinkText.Encode(reason);
                if (_frames.IsWritable)
                {
                    _frames.Write(new FrameHeader((uint)text.Length, FrameKind.Close, 0, 0), text, default);
                    _frames.ShutdownSend();
                    told = true;
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or System.Net.Sockets.SocketException)
            {
            }
            finally
            {
                Monitor.Exit(_sending);
            }
        }

        // A started link belongs to its thread: it lingers until the peer has closed too, which the pulse bounds, and then releases the buffers.
        if (Interlocked.CompareExchange(ref _stage, Stage.Released, Stage.Idle) == Stage.Idle)
        {
            Release();
        }
        else if (told)
        {
            Interlocked.Exchange(ref _closeDue, Environment.TickCount64 + CloseGraceMs);
        }
        else
        {
            _frames.Abort();
        }
    }

    public void Dispose() => Close("closed");

    void IPulsed.Pulse(long now, bool stalled)
    {
        if (!IsOpen)
        {
            if (now >= Interlocked.Read(ref _closeDue))
            {
                _frames.Abort();
            }

            return;
        }

        if (stalled)
        {
            _frames.ForgiveSilence(now);
        }

        long waitingSince = _frames.WaitingSince;
        if (waitingSince != 0 && now - waitingSince >= _options.SilenceLimit.TotalMilliseconds)
        {
            MarkClosed($"the peer was silent for {_options.SilenceLimit.TotalSeconds:0.###} s");
            _frames.Abort();
            return;
        }

        // The deny-list may have changed: it holds for open links too.
        if (_certificates.Version is var version && version != _certificatesVersion)
        {
            _certificatesVersion = version;
            if (_handshake.IsDenied)
            {
                Close("the peer is on the deny-list");
                return;
            }
        }

        FlushGrants();
        if (now - Interlocked.Read(ref _sentAt) >= _options.PingInterval.TotalMilliseconds)
        {
            Span<byte> payload = stackalloc byte[sizeof(long)];
            BitConverter.TryWriteBytes(payload, Stopwatch.GetTimestamp());
            TryWriteOwn(FrameKind.Ping, 0, payload);
        }
    }

    private void TakeCredit()
    {
        lock (_crediting)
        {
            while (_credits == 0)
            {
                ThrowIfClosed();
                Monitor.Wait(_crediting);
            }

            _credits--;
        }
    }

    /// <summary>Hands pending grants to the peer unless that would block; then the sender that is in the way, or the pulse, does it.</summary>
    private void FlushGrants()
    {
        while (Volatile.Read(ref _pendingGrant) > 0 && IsOpen && Monitor.TryEnter(_sending))
        {
            try
            {
                if (!_frames.IsWritable)
                {
                    return;
                }

                int frames = Interlocked.Exchange(ref _pendingGrant, 0);
                if (frames > 0 && IsOpen)
                {
                    Interlocked.Add(ref _granted, frames);
                    Write(new FrameHeader(0, FrameKind.Credit, 0, frames), default, default);
                }
            }
            catch (LinkClosedException)
            {
                return;
            }
            finally
            {
                Monitor.Exit(_sending);
            }
        }
    }

    /// <summary>Pings and pongs: left out when the stream is busy, which shows life just as well.</summary>
    private void TryWriteOwn(FrameKind kind, int step, ReadOnlySpan<byte> payload)
    {
        if (!Monitor.TryEnter(_sending))
        {
            return;
        }

        try
        {
            if (IsOpen && _frames.IsWritable)
            {
                Write(new FrameHeader((uint)payload.Length, kind, 0, step), payload, default);
            }
        }
        catch (LinkClosedException)
        {
        }
        finally
        {
            Monitor.Exit(_sending);
        }
    }

    private void Write(FrameHeader header, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        try
        {
            _frames.Write(header, head, body);
            ClusterMetrics.CountSent(Hello.Purpose, FrameHeader.Size + header.Length);
            Interlocked.Exchange(ref _sentAt, Environment.TickCount64);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or NotSupportedException)
        {
            MarkClosed(LinkText.Describe(e));
            _frames.Abort();
            throw new LinkClosedException(_closed!);
        }
    }

    private bool MarkClosed(string reason)
    {
        if (Interlocked.CompareExchange(ref _closed, reason, null) is not null)
        {
            return false;
        }

        lock (_crediting)
        {
            Monitor.PulseAll(_crediting);
        }

        return true;
    }

    private void ThrowIfClosed()
    {
        if (Volatile.Read(ref _closed) is { } reason)
        {
            throw new LinkClosedException(reason);
        }
    }

    private void Release()
    {
        _frames.Abort();
        lock (_sending)
        {
            _frames.Dispose();
        }
    }
}

/// <summary>Receives a link's frames. Both methods are called on the link's own thread; <see cref="OnClosed"/> exactly once.</summary>
public interface ILinkHandler
{
    /// <param name="payload">Valid during the call only.</param>
    void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload);

    /// <param name="reason">One clause: reset by peer, silent for 3 s, frame of 9 MiB is over the limit, ...</param>
    void OnClosed(Link link, string reason);
}

/// <summary>The link is closed; the message says why.</summary>
public sealed class LinkClosedException(string message) : IOException(message)
{
    /// <summary>The address took no connection and refused none: what is sent there is lost on the way.</summary>
    public bool IsUnanswered { get; init; }
}
