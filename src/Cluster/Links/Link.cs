namespace Lamina.Cluster.Links;

/// <summary>
/// One mutual-TLS 1.3 stream between two processes of a cell: length-prefixed frames with a 16-byte header (length u32, kind u8, flags u8, reserved u16,
/// epoch u32, step u32; little-endian), credits counted in frames, hard size limits. Sending is thread-safe and synchronous; receiving runs on the link's own thread.
/// A silent peer is noticed by pings within <c>LinkOptions.SilenceLimit</c>.
/// </summary>
public sealed class Link : IDisposable
{
    public LinkHello Hello => throw new NotImplementedException();

    /// <summary>Identity in the peer's certificate.</summary>
    public Identity.PeerIdentity Peer => throw new NotImplementedException();

    public bool IsOpen => throw new NotImplementedException();

    /// <summary>
    /// Sends one frame, its payload given in two parts so that rows need no copy. Data frames (Step, Sampled, Submit, TokensGenerated, BlobChunk) take a
    /// credit and block while none is left. Throws <see cref="LinkClosedException"/> when the link is or becomes closed.
    /// </summary>
    public void Send(FrameKind kind, int epoch, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body = default) => throw new NotImplementedException();

    /// <summary>
    /// Starts receiving. The handler's methods run on the link's thread; a data frame's credit returns to the sender when the handler calls
    /// <see cref="Grant"/>, which it does once it has room for the next.
    /// </summary>
    public void Start(ILinkHandler handler) => throw new NotImplementedException();

    /// <summary>Gives the sender credit for <paramref name="frames"/> more data frames.</summary>
    public void Grant(int frames = 1) => throw new NotImplementedException();

    /// <summary>Closes with a reason for the peer's log; idempotent, never throws.</summary>
    public void Close(string reason) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
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
public sealed class LinkClosedException(string message) : IOException(message);
