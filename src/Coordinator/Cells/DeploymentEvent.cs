using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Cells;

/// <summary>What can happen to a deployment.</summary>
public abstract record DeploymentEvent
{
    public sealed record ImportProgressed(long DoneBytes, long TotalBytes) : DeploymentEvent;

    public sealed record ModelImported(ModelFacts Model) : DeploymentEvent;

    /// <param name="Refused">Whether the policy forbids the model, and nothing failed.</param>
    public sealed record ImportFailed(string Reason, bool Refused = false) : DeploymentEvent;

    /// <summary>The nodes that are up now.</summary>
    public sealed record NodesSeen(IReadOnlyList<NodeView> Nodes) : DeploymentEvent;

    /// <summary>The nodes that answered a probe; ends the wait that <see cref="DeploymentEffect.Probe"/> began.</summary>
    public sealed record NodesProbed(IReadOnlyList<NodeView> Nodes) : DeploymentEvent;

    public sealed record StageProgressed(StageAddress Address, NodeName Node, StagePhase Phase, long DoneBytes, long TotalBytes) : DeploymentEvent;

    public sealed record StageLoaded(StageAddress Address, NodeName Node, long MemoryBytes) : DeploymentEvent;

    public sealed record StageReady(StageAddress Address, NodeName Node) : DeploymentEvent;

    public sealed record StageFailed(StageAddress Address, NodeName Node, StageFailure Failure, string Reason) : DeploymentEvent;

    public sealed record HeadsOpened(int Epoch) : DeploymentEvent;

    /// <summary>A head could not be reached, or its pipeline did not compute.</summary>
    public sealed record HeadsFailed(int Epoch, string Reason) : DeploymentEvent;

    /// <summary>The link to a head closed that served.</summary>
    public sealed record HeadLost(int Epoch, string Reason) : DeploymentEvent;

    /// <summary>An epoch that was replaced has no generations left.</summary>
    public sealed record Drained(int Epoch) : DeploymentEvent;

    /// <summary>An epoch that is being built has not moved for a long time.</summary>
    public sealed record Stalled(int Epoch) : DeploymentEvent;

    /// <summary>This owner knows what it takes to plan the model that the last owner was changing to.</summary>
    public sealed record NextKnown(ModelFacts Next) : DeploymentEvent;

    /// <summary>Somebody wants every pipeline planned anew with the nodes that are up.</summary>
    /// <param name="Roll">Loads also those anew whose plan comes out as it was.</param>
    /// <param name="Ask">The ask's number: it counts once, however often it comes.</param>
    /// <param name="Next">The model that the new pipelines are to be of; null = the one that serves.</param>
    public sealed record ReplanAsked(bool Roll, long Ask, ModelFacts? Next = null) : DeploymentEvent;
}

/// <summary>What a deployment wants done.</summary>
public abstract record DeploymentEffect
{
    public sealed record Tell(NodeName Node, IWireMessage Command) : DeploymentEffect;

    /// <summary>Dial the heads; answered by HeadsOpened or HeadsFailed.</summary>
    public sealed record OpenHeads(int Epoch, IReadOnlyList<StageState> Heads) : DeploymentEffect;

    /// <summary>New generations go to this epoch from now on, and those that wait are submitted to it.</summary>
    public sealed record Serve(int Epoch) : DeploymentEffect;

    /// <summary>Close the links to this epoch's heads; its generations wait for the next one.</summary>
    public sealed record StopServing(int Epoch) : DeploymentEffect;

    /// <summary>From now on callers get this model: a pipeline of it serves.</summary>
    public sealed record UseModel(string Digest) : DeploymentEffect;

    /// <summary>Let this epoch's generations end, then report Drained.</summary>
    public sealed record Drain(int Epoch) : DeploymentEffect;

    /// <summary>After the delay, ask every node for a sign of life; answered by NodesProbed.</summary>
    public sealed record Probe(TimeSpan Delay) : DeploymentEffect;
}
