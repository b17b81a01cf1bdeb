using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Models;

/// <summary>One small blob from another coordinator: what serving callers needs of a model whose file lies there.</summary>
internal sealed class PeerBlob : ILinkHandler
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    private readonly MemoryStream _bytes = new();
    private readonly long _limit;
    private readonly TaskCompletionSource<byte[]> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private PeerBlob(long limit) => _limit = limit;

    /// <summary>Throws <see cref="IOException"/>, <see cref="InvalidDataException"/> or <see cref="TimeoutException"/> with one sentence.</summary>
    /// <param name="limit">Most bytes that it may have.</param>
    public static async Task<byte[]> FetchAsync(
        Endpoint source, BlobDigest digest, long limit, TenantId tenant, LinkOptions options, CertificateProvider certificates, CancellationToken cancellation)
    {
        var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Blobs, tenant, certificates.Self.Name, default);
        using Link link = await LinkDialler.DialAsync(source, null, hello, options, certificates, cancellation);
        var blob = new PeerBlob(limit);
        link.Start(blob);
        link.Send(FrameKind.BlobRequest, 0, 1, Wire.Encode(new BlobProtocol.BlobRequest(digest.ToString(), 0, -1)));
        byte[] bytes = await blob._done.Task.WaitAsync(s_deadline, cancellation);
        return BlobDigest.Of(bytes) == digest ? bytes : throw new InvalidDataException($"{source} sent other bytes than those of {digest}");
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        if (kind == FrameKind.BlobRefused)
        {
            _done.TrySetException(new FileNotFoundException($"{link.Peer.Name} does not hold the model's metadata any more"));
            return;
        }

        if (kind != FrameKind.BlobChunk || !BlobProtocol.TryReadChunk(payload, out long offset, out long wholeLength, out ReadOnlySpan<byte> bytes)
            || offset != _bytes.Length || wholeLength > _limit || bytes.Length > wholeLength - offset)
        {
            _done.TrySetException(new InvalidDataException($"{link.Peer.Name} sent a {kind} frame of {payload.Length} bytes that is no chunk of the blob"));
            return;
        }

        _bytes.Write(bytes);
        if (_bytes.Length == wholeLength)
        {
            _done.TrySetResult(_bytes.ToArray());
        }

        link.Grant();
    }

    public void OnClosed(Link link, string reason) => _done.TrySetException(new LinkClosedException(reason));
}
