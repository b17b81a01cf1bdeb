using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Stages;

/// <summary>
/// A loaded stage with its compute thread and its links: accepts those of its place in the pipeline, opens those to its successor or the head. Its end, whatever the cause,
/// is reported once.
/// </summary>
internal sealed class StageUnit : IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<Link> _links = [];
    private readonly LateSink _output = new();
    private readonly PipelineHead? _head;
    private readonly StageRunner? _runner;
    private readonly Action<StageFault> _failed;
    private volatile Link? _next;
    private bool _hasPredecessor;
    private bool _hasTail;
    private readonly Lock _freeing = new();
    private bool _over;
    private bool _freed;

    /// <param name="executor">Owned from here on.</param>
    /// <param name="failed">Called once, on any thread, unless the unit is disposed first.</param>
    public StageUnit(NodeCommands.LoadStage plan, StageExecutor executor, Action<StageFault> failed)
    {
        Plan = plan;
        MemoryBytes = executor.MemoryBytes;
        _failed = failed;
        if (plan.Address.Stage == 0)
        {
            _head = new PipelineHead(executor, plan.Settings, plan.StageCount, plan.StageCount == 1 ? null : _output, OnThreadFailed, new HeadMeasures(plan.Tenant, plan.Address.Deployment));
        }
        else
        {
            _runner = new StageRunner(executor, plan.Settings, _output, OnThreadFailed);
        }
    }

    public NodeCommands.LoadStage Plan { get; }

    public long MemoryBytes { get; }

    public StageMeter Meter => _head?.Meter ?? _runner!.Meter;

    /// <summary>Frames that wait for the compute thread.</summary>
    public int Queued => _head?.Sampled.Count ?? _runner!.Inbox.Count;

    public PipelineHead? Head => _head;

    /// <summary>Of the link to the next stage, or from the tail to the head; zero where there is none.</summary>
    public TimeSpan LinkRoundTrip => _next?.RoundTrip ?? TimeSpan.Zero;

    private bool IsTail => Plan.Address.Stage == Plan.StageCount - 1;

    /// <summary>Opens the link to the next stage, or from the tail to the head. Throws <see cref="LinkClosedException"/> when it cannot.</summary>
    public async Task ConnectAsync(NodeCommands.ConnectStage command, LinkOptions options, CertificateProvider certificates, CancellationToken cancellation)
    {
        if (Plan.StageCount == 1)
        {
            return;
        }

        (Endpoint? endpoint, NodeName? peer, LinkPurpose purpose, int stage) = IsTail
            ? (command.Head, command.HeadNode, LinkPurpose.Tokens, 0)
            : (command.Next, command.NextNode, LinkPurpose.Activations, Plan.Address.Stage + 1);
        if (endpoint is not { } target || peer is not { } name)
        {
            throw new StageFault(StageFailure.Refused, $"stage {Plan.Address} was not told whom to send its {purpose} to");
        }

        var hello = new LinkHello(LinkHello.CurrentVersion, purpose, Plan.Tenant, certificates.Self.Name, Plan.Address with { Stage = stage });
        Link link = await LinkDialler.DialAsync(target, name.Value, hello, options, certificates, cancellation).ConfigureAwait(false);
        Track(link);
        link.Start(new OutgoingLink(this));
        _next = link;
        _output.Target = new LinkFrameSink(link, Plan.Address.Epoch);
    }

    /// <summary>The verdict on a link that another process opens to this stage.</summary>
    public LinkDecision Offer(LinkHello hello, PeerIdentity peer)
    {
        lock (_gate)
        {
            PeerRole expected = hello.Purpose == LinkPurpose.Generations ? PeerRole.Coordinator : PeerRole.Node;
            string? refusal = (hello.Purpose, peer.Role == expected) switch
            {
                _ when _over => $"stage {Plan.Address} has stopped",
                (_, false) => $"a {peer.Role} may not open a link for {hello.Purpose}",
                _ when hello.Purpose != LinkPurpose.Generations && peer.Name != Plan.Predecessor?.Value =>
                    $"stage {Plan.Address} follows {Plan.Predecessor?.Value ?? "no other"}, not {peer.Name}",
                (LinkPurpose.Activations, _) when _runner is null => $"stage {Plan.Address} is the first and takes no activations",
                (LinkPurpose.Activations, _) when _hasPredecessor => $"stage {Plan.Address} has a predecessor already",
                (LinkPurpose.Tokens, _) when _head is null || IsTail => $"stage {Plan.Address} takes no tokens",
                (LinkPurpose.Tokens, _) when _hasTail => $"stage {Plan.Address} has a tail already",
                (LinkPurpose.Generations, _) when _head is null => $"stage {Plan.Address} is not the head",
                (LinkPurpose.Activations or LinkPurpose.Tokens or LinkPurpose.Generations, _) => null,
                _ => $"a stage has no link for {hello.Purpose}",
            };
            if (refusal is not null)
            {
                return new LinkDecision(null, refusal);
            }

            _hasPredecessor |= hello.Purpose == LinkPurpose.Activations;
            _hasTail |= hello.Purpose == LinkPurpose.Tokens;
        }

        return new LinkDecision(link =>
        {
            Track(link);
            return hello.Purpose switch
            {
                LinkPurpose.Generations => new CoordinatorLink(link, _head!, Plan),
                LinkPurpose.Tokens => new IncomingLink(this, FrameKind.Sampled, _head!.Sampled),
                _ => new IncomingLink(this, FrameKind.Step, _runner!.Inbox),
            };
        }, null);
    }

    /// <summary>Closes the links, stops the thread after the step it is at, zeroes and frees the stage's memory.</summary>
    public void Dispose()
    {
        Close("the stage was unloaded");
        lock (_freeing)
        {
            if (!_freed)
            {
                _freed = true;
                _head?.Dispose();
                _runner?.Dispose();
            }
        }
    }

    private void Track(Link link)
    {
        lock (_gate)
        {
            _links.RemoveAll(l => !l.IsOpen);
            if (!_over)
            {
                _links.Add(link);
                return;
            }
        }

        link.Close("the stage has stopped");
    }

    private void OnThreadFailed(Exception exception) => Fail(exception switch
    {
        StageFault fault => fault,
        LinkClosedException => new StageFault(StageFailure.LinkLost, exception.Message, exception),
        InvalidDataException => new StageFault(StageFailure.Refused, exception.Message, exception),
        _ => new StageFault(StageFailure.Internal, exception.Message, exception),
    });

    private void OnPipelineLinkLost(Link link, string reason) =>
        Fail(new StageFault(StageFailure.LinkLost, $"the link with {link.Peer.Name} closed: {reason}"));

    private void Fail(StageFault fault)
    {
        if (Close(fault.Message))
        {
            _head?.Fail(fault);
            _failed(fault);
        }
    }

    /// <summary>False when it was closed already.</summary>
    private bool Close(string reason)
    {
        Link[] links;
        lock (_gate)
        {
            if (_over)
            {
                return false;
            }

            _over = true;
            links = [.. _links];
            _links.Clear();
        }

        foreach (Link link in links)
        {
            link.Close(reason);
        }

        return true;
    }

    /// <summary>Brings a neighbour's frames into an inbox; a frame of another epoch is dropped and counted.</summary>
    private sealed class IncomingLink(StageUnit unit, FrameKind expected, FrameInbox inbox) : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            if (epoch != unit.Plan.Address.Epoch)
            {
                unit.Meter.CountStaleFrame();
                link.Grant();
                return;
            }

            try
            {
                if (kind != expected)
                {
                    throw new InvalidDataException($"a {kind} frame came where {expected} was expected");
                }

                inbox.Put(link, kind, step, payload, []);
            }
            catch (InvalidDataException e)
            {
                link.Close(e.Message);
            }
        }

        public void OnClosed(Link link, string reason) => unit.OnPipelineLinkLost(link, reason);
    }

    /// <summary>Nothing comes back on a link that this stage sends on.</summary>
    private sealed class OutgoingLink(StageUnit unit) : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload) => link.Close($"a {kind} frame came where none is expected");

        public void OnClosed(Link link, string reason) => unit.OnPipelineLinkLost(link, reason);
    }
}
