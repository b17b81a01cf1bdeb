using Lamina.Cluster.Links;

namespace Lamina.Node.Pipeline;

/// <summary>Where a stage's output goes: over a link to another node, or into the inbox of a stage of this process.</summary>
internal interface IFrameSink
{
    /// <summary>Returns when the payload may be reused. Throws <see cref="LinkClosedException"/> when the other end is gone.</summary>
    void Send(FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body);
}

/// <summary>Frames of one epoch on a link.</summary>
internal sealed class LinkFrameSink(Link link, int epoch) : IFrameSink
{
    public void Send(FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => link.Send(kind, epoch, step, head, body);
}

/// <summary>A sink whose target is known only after the stage stands.</summary>
internal sealed class LateSink : IFrameSink
{
    private volatile IFrameSink? _target;

    public IFrameSink? Target
    {
        get => _target;
        set => _target = value;
    }

    public void Send(FrameKind kind, int step, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) =>
        (_target ?? throw new LinkClosedException("the stage is not connected yet")).Send(kind, step, head, body);
}
