using System.Collections.Concurrent;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Models;

/// <summary>
/// Answers one link's blob requests from a store, in order, on a thread of its own: sending waits for the asker's credit, which only the link's reading
/// thread can bring.
/// </summary>
public sealed class BlobServer : ILinkHandler
{
    private readonly IBlobStore _store;
    private readonly BlockingCollection<(int Request, BlobDigest Digest, long Offset, long Length)> _requests = new(BlobProtocol.MaxOpenRequests);

    /// <param name="link">Not started yet; the router hands it over with this handler.</param>
    public BlobServer(Link link, IBlobStore store)
    {
        _store = store;
        new Thread(() => Serve(link)) { IsBackground = true, Name = "blob server" }.Start();
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        BlobProtocol.BlobRequest? request = null;
        if (kind == FrameKind.BlobRequest && payload.Length <= BlobProtocol.MaxRequestBytes)
        {
            try
            {
                request = Wire.Decode<BlobProtocol.BlobRequest>(payload);
            }
            catch (InvalidDataException)
            {
            }
        }

        if (request is null || !BlobDigest.TryParse(request.Digest, out BlobDigest digest))
        {
            link.Close($"a {kind} frame of {payload.Length} bytes is not a blob request");
        }
        else if (!_requests.TryAdd((step, digest, request.Offset, request.Length)))
        {
            link.Close($"more than {BlobProtocol.MaxOpenRequests} blob requests open");
        }
    }

    public void OnClosed(Link link, string reason) => _requests.CompleteAdding();

    private void Serve(Link link)
    {
        byte[] chunk = new byte[BlobProtocol.MaxChunkBytes];
        try
        {
            foreach ((int request, BlobDigest digest, long offset, long length) in _requests.GetConsumingEnumerable())
            {
                Answer(link, request, digest, offset, length, chunk);
            }
        }
        catch (LinkClosedException)
        {
            // The asker has gone; there is nobody to tell.
        }
        catch (IOException e)
        {
            link.Close($"reading a blob failed: {e.Message}");
        }
        catch (UnauthorizedAccessException)
        {
            link.Close("reading a blob failed: access denied");
        }
    }

    private void Answer(Link link, int request, BlobDigest digest, long offset, long length, byte[] chunk)
    {
        using BlobReader? blob = _store.TryOpen(digest);
        if (blob is null)
        {
            Refuse(link, request, $"{digest} is not held here");
            return;
        }

        long end = length < 0 ? blob.Length : offset > blob.Length - length ? -1 : offset + length;
        if (offset < 0 || offset > blob.Length || end < offset)
        {
            Refuse(link, request, $"{digest} has {blob.Length} bytes, not {length} from {offset}");
            return;
        }

        Span<byte> head = stackalloc byte[BlobProtocol.ChunkHeadBytes];
        do
        {
            // An empty range still gets its one empty chunk, so that every request has an answer.
            Span<byte> part = chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - offset));
            blob.ReadExactly(offset, part);
            BlobProtocol.WriteChunkHead(head, offset, blob.Length);
            link.Send(FrameKind.BlobChunk, 0, request, head, part);
            offset += part.Length;
        }
        while (offset < end);
    }

    private static void Refuse(Link link, int request, string reason) =>
        link.Send(FrameKind.BlobRefused, 0, request, Wire.Encode(new BlobProtocol.BlobRefused(reason)));
}
