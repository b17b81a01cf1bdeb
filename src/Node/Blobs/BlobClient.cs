using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;

namespace Lamina.Node.Blobs;

/// <summary>Asks one source for blobs over a link. Several requests may be open; their bytes are written on the link's thread as they come.</summary>
internal sealed class BlobClient : ILinkHandler, IDisposable
{
    private readonly Link _link;
    private readonly Lock _gate = new();
    private readonly Queue<Request> _open = [];
    private int _requests;
    private string? _closed;
    private long _received;

    private BlobClient(Link link) => _link = link;

    /// <summary>Bytes received on this link; stands still when the source does.</summary>
    public long Received => Volatile.Read(ref _received);

    public static async Task<BlobClient> DialAsync(Endpoint source, TenantId tenant, LinkOptions options, CertificateProvider certificates, CancellationToken cancellation)
    {
        var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Blobs, tenant, certificates.Self.Name, default);
        var client = new BlobClient(await LinkDialler.DialAsync(source, null, hello, options, certificates, cancellation).ConfigureAwait(false));
        client._link.Start(client);
        return client;
    }

    /// <summary>
    /// Completes when the download has. Fails with <see cref="LinkClosedException"/>, <see cref="FileNotFoundException"/> when the source refused, or with what
    /// <see cref="BlobDownload.Write"/> threw. At most <see cref="BlobProtocol.MaxOpenRequests"/> may be open.
    /// </summary>
    public Task GetAsync(BlobDownload download)
    {
        var request = new Request(download);
        lock (_gate)
        {
            if (_closed is not null)
            {
                return Task.FromException(new LinkClosedException(_closed));
            }

            request.Number = ++_requests;
            _open.Enqueue(request);
            byte[] payload = Wire.Encode(new BlobProtocol.BlobRequest(download.Digest.ToString(), download.Received, -1));
            try
            {
                _link.Send(FrameKind.BlobRequest, 0, request.Number, payload);
            }
            catch (LinkClosedException e)
            {
                request.Done.TrySetException(e);
            }
        }

        return request.Done.Task;
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        Request? request;
        lock (_gate)
        {
            _open.TryPeek(out request);
        }

        if (request is null || request.Number != step)
        {
            link.Close($"a {kind} frame answers request {step}, awaited was {request?.Number}");
            return;
        }

        try
        {
            Receive(request, kind, payload);
        }
        catch (Exception e)
        {
            // The rest of a bad blob would follow: this link is of no more use.
            Finish(request, e);
            link.Close("a blob could not be accepted");
            return;
        }

        if (kind == FrameKind.BlobChunk)
        {
            link.Grant();
        }
    }

    public void OnClosed(Link link, string reason)
    {
        lock (_gate)
        {
            _closed = reason;
            while (_open.TryDequeue(out Request? request))
            {
                request.Done.TrySetException(new LinkClosedException(reason));
            }
        }
    }

    public void Dispose() => _link.Dispose();

    private void Receive(Request request, FrameKind kind, ReadOnlySpan<byte> payload)
    {
        if (kind == FrameKind.BlobRefused)
        {
            Finish(request, new FileNotFoundException(Wire.Decode<BlobProtocol.BlobRefused>(payload).Reason));
            return;
        }

        if (kind != FrameKind.BlobChunk || !BlobProtocol.TryReadChunk(payload, out long offset, out long wholeLength, out ReadOnlySpan<byte> bytes))
        {
            throw new InvalidDataException($"a {kind} frame of {payload.Length} bytes is no chunk of a blob");
        }

        request.Download.Write(offset, wholeLength, bytes);
        Volatile.Write(ref _received, _received + bytes.Length);
        if (request.Download.IsComplete)
        {
            Finish(request, null);
        }
        else if (bytes.IsEmpty)
        {
            throw new InvalidDataException($"{request.Download.Digest}: the source has no more bytes after {request.Download.Received}");
        }
    }

    private void Finish(Request request, Exception? error)
    {
        lock (_gate)
        {
            _open.Dequeue();
        }

        if (error is null)
        {
            request.Done.TrySetResult();
        }
        else
        {
            request.Done.TrySetException(error);
        }
    }

    private sealed class Request(BlobDownload download)
    {
        public int Number { get; set; }
        public BlobDownload Download { get; } = download;
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
