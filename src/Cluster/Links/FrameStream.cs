using System.Net.Security;
using System.Net.Sockets;

namespace Lamina.Cluster.Links;

/// <summary>
/// Frames on a TLS stream over a blocking socket. One thread may write while another reads. The socket must never have seen an asynchronous call: that would make
/// it non-blocking for good and send every later call through the runtime's event loop.
/// </summary>
internal sealed class FrameStream : IDisposable
{
    // Frames up to that size leave in one write; larger ones send their first part so and the rest straight from the caller's memory.
    private const int StagingBytes = 32 * 1024;

    private readonly Socket _socket;
    private readonly SslStream _ssl;
    private readonly LinkOptions _options;
    private readonly LinkBuffer _staging = new();
    private readonly LinkBuffer _payload = new();
    private int _delivered;
    private int _payloadLimit = int.MaxValue;
    private long _waitingSince;
    private int _aborted;

    public FrameStream(Socket socket, SslStream ssl, LinkOptions options)
    {
        _socket = socket;
        _ssl = ssl;
        _options = options;
        socket.SendTimeout = (int)options.SendDeadline.TotalMilliseconds;
    }

    /// <summary>Since when (milliseconds of <see cref="Environment.TickCount64"/>) the reading thread has waited for bytes; 0 while it does not wait.</summary>
    public long WaitingSince => Interlocked.Read(ref _waitingSince);

    /// <summary>Bytes set aside for payloads of frames received.</summary>
    public int PayloadCapacity => _payload.Capacity;

    /// <summary>Whether a small write would not block.</summary>
    public bool IsWritable
    {
        get
        {
            try
            {
                return _socket.Poll(0, SelectMode.SelectWrite);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>From now on no frame may bring more than <paramref name="bytes"/>, whatever its kind.</summary>
    public void LimitPayload(int bytes) => _payloadLimit = bytes;

    public void Write(FrameHeader header, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body)
    {
        int first = (int)Math.Min(StagingBytes, FrameHeader.Size + (long)head.Length + body.Length);
        Span<byte> staging = _staging.Take(StagingBytes)[..first];
        header.Write(staging);
        int fromHead = Math.Min(head.Length, first - FrameHeader.Size);
        head[..fromHead].CopyTo(staging[FrameHeader.Size..]);
        int fromBody = first - FrameHeader.Size - fromHead;
        body[..fromBody].CopyTo(staging[(FrameHeader.Size + fromHead)..]);
        _ssl.Write(staging);
        staging.Clear();
        if (fromHead < head.Length)
        {
            _ssl.Write(head[fromHead..]);
        }

        if (fromBody < body.Length)
        {
            _ssl.Write(body[fromBody..]);
        }
    }

    /// <summary>Reads one frame. Throws <see cref="LinkClosedException"/> when it is malformed or over its kind's limit, before a byte is set aside for it.</summary>
    /// <returns>The payload, valid until the next call.</returns>
    public ReadOnlySpan<byte> Read(out FrameHeader header)
    {
        // The next frame may be shorter, and long in coming.
        _payload.Take(_delivered).Clear();
        _delivered = 0;
        Span<byte> bytes = stackalloc byte[FrameHeader.Size];
        ReadExactly(bytes);
        if (!FrameHeader.TryRead(bytes, out header) || !Enum.IsDefined(header.Kind))
        {
            throw new LinkClosedException($"the peer sent something that is no frame (kind {(uint)header.Kind})");
        }

        int limit = Math.Min(header.Kind.PayloadLimit(_options), _payloadLimit);
        if (header.Length > (uint)limit)
        {
            throw new LinkClosedException($"{header.Kind} frame of {header.Length} bytes is over the limit of {limit}");
        }

        Span<byte> payload = _payload.Take((int)header.Length);
        _delivered = payload.Length;
        ReadExactly(payload);
        return payload;
    }

    /// <summary>Reads and drops until the peer has closed too, so that the close frame is not lost to a reset.</summary>
    public void Drain()
    {
        Span<byte> bytes = _payload.Take(4096);
        while (_ssl.Read(bytes) > 0)
        {
        }
    }

    /// <summary>No more will be written; the peer reads the end of the stream.</summary>
    public void ShutdownSend() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>The own process stood still (suspended, paused): silence until now proves nothing about the peer.</summary>
    public void ForgiveSilence(long now)
    {
        long since = WaitingSince;
        if (since != 0)
        {
            Interlocked.CompareExchange(ref _waitingSince, now, since);
        }
    }

    /// <summary>Breaks the connection; threads that read or write fail at once.</summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) == 0)
        {
            _socket.Dispose();
        }
    }

    /// <summary>Call when no thread reads or writes any more.</summary>
    public void Dispose()
    {
        Abort();
        _ssl.Dispose();
        _staging.Dispose();
        _payload.Dispose();
    }

    private void ReadExactly(Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            Interlocked.Exchange(ref _waitingSince, Environment.TickCount64);
            int read = _ssl.Read(destination);
            Interlocked.Exchange(ref _waitingSince, 0);
            destination = read > 0 ? destination[read..] : throw new EndOfStreamException();
        }
    }
}
