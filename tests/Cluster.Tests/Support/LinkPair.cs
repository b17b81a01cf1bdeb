using System.Collections.Concurrent;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Tests.Support;

internal sealed record Frame(FrameKind Kind, int Epoch, int Step, byte[] Payload);

/// <summary>Keeps what a link receives; grants at once, or only when told to.</summary>
internal sealed class RecordingHandler(bool grants = true) : ILinkHandler
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly BlockingCollection<Frame> _frames = [];
    private readonly TaskCompletionSource<string> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _closes;

    public int Closes => _closes;

    /// <summary>Frames received and not taken yet.</summary>
    public int Count => _frames.Count;

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        _frames.Add(new Frame(kind, epoch, step, payload.ToArray()));
        if (grants && kind.IsData())
        {
            link.Grant();
        }
    }

    public void OnClosed(Link link, string reason)
    {
        Interlocked.Increment(ref _closes);
        _closed.TrySetResult(reason);
    }

    public Frame Take() => _frames.TryTake(out Frame? frame, Patience) ? frame : throw new TimeoutException("no frame arrived");

    public Task<string> Closed => _closed.Task.WaitAsync(Patience);
}

/// <summary>A listener of node b and links that node a opened to it, on loopback.</summary>
internal sealed class LinkPair : IAsyncDisposable
{
    public static readonly LinkOptions Quick = new() { MaxFrameBytes = 1 << 20, Credits = 4 };

    private readonly BlockingCollection<Link> _accepted = [];
    private readonly List<Link> _dialled = [];

    public LinkPair(LinkOptions? options = null, Func<LinkHello, PeerIdentity, LinkDecision>? router = null, RecordingHandler? handler = null, TestCell? cell = null)
    {
        Options = options ?? Quick;
        Cell = cell ?? new TestCell();
        B = Cell.Node("b");
        Handler = handler ?? new RecordingHandler();
        Listener = LinkListener.Start(Options, B, router ?? ((_, _) => new LinkDecision(link =>
        {
            _accepted.Add(link);
            return Handler;
        }, null)));
    }

    public TestCell Cell { get; }

    public LinkOptions Options { get; }

    public CertificateProvider B { get; }

    public LinkListener Listener { get; }

    /// <summary>What the accepting side receives.</summary>
    public RecordingHandler Handler { get; }

    public static LinkHello HelloOf(string sender, string tenant = "acme", LinkPurpose purpose = LinkPurpose.Activations, int version = LinkHello.CurrentVersion) =>
        new(version, purpose, new TenantId(tenant), sender, new StageAddress(new DeploymentId("m"), 1, 0, 1));

    public async Task<Link> DialAsync(CertificateProvider? as_ = null, LinkHello? hello = null, string? expectedPeer = "b", LinkOptions? options = null)
    {
        Link link = await LinkDialler.DialAsync(Listener.Endpoint, expectedPeer, hello ?? HelloOf("a"), options ?? Options, as_ ?? Cell.Node("a"), default);
        lock (_dialled)
        {
            _dialled.Add(link);
        }

        return link;
    }

    public Link TakeAccepted() => _accepted.TryTake(out Link? link, RecordingHandler.Patience) ? link : throw new TimeoutException("no link was accepted");

    public async ValueTask DisposeAsync()
    {
        _dialled.ForEach(link => link.Dispose());
        await Listener.DisposeAsync();
        Cell.Dispose();
    }
}
