using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// A deployment's whole state, as a value: (state, event) gives the next state and what to do. Import, wait for nodes, plan, load, connect, open the heads, serve.
/// A loss ends the epoch and plans the next with the nodes that answer; when there are again as many nodes as wanted, a better epoch is built beside the serving
/// one and replaces it.
/// </summary>
public sealed partial record DeploymentState
{
    /// <summary>Builds in a row that may fail before the deployment counts as failed; from then on one is tried when the nodes change, and every <see cref="RetryInterval"/>.</summary>
    public const int MaxFailures = 5;

    /// <summary>What kept builds from coming about may pass without a change of the nodes: a machine that was too busy, a disk that was full.</summary>
    public static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(30);

    /// <summary>Asks that are remembered: more than operators make while one of them is on its way.</summary>
    public const int MaxHeard = 64;

    /// <summary>Other nodes that one is told of as sources of tensors.</summary>
    private const int MaxPeers = 16;

    public required DeploymentSpec Spec { get; init; }
    public ModelFacts? Model { get; init; }
    public long ImportedBytes { get; init; }
    public long ImportBytes { get; init; }
    public ImmutableSortedDictionary<NodeName, NodeView> Nodes { get; init; } = ImmutableSortedDictionary.Create<NodeName, NodeView>(s_byName);

    /// <summary>The last epoch planned; 0 before the first.</summary>
    public int LastEpoch { get; init; }

    /// <summary>What serves, each epoch one pipeline on nodes of its own: one may be lost without the others.</summary>
    public ImmutableList<EpochState> Standing { get; init; } = [];

    /// <summary>The first that serves, or null.</summary>
    public EpochState? Serving => Standing.IsEmpty ? null : Standing[0];

    public EpochState? Building { get; init; }

    /// <summary>Replaced epochs whose generations are still running.</summary>
    public ImmutableList<EpochState> Retiring { get; init; } = [];

    /// <summary>A probe was asked for and has not been answered: no plan before that.</summary>
    public bool Probing { get; init; }

    public bool WasReady { get; init; }
    public int Failures { get; init; }

    /// <summary>Why it does not serve; with <see cref="GaveUp"/>, why it will not for now.</summary>
    public string? Problem { get; init; }

    public bool GaveUp { get; init; }

    /// <summary>The model may not run here, whatever becomes of the nodes.</summary>
    public bool Refused { get; init; }

    /// <summary>Nodes with which a better epoch could not be built beside the serving one; not tried again with the same.</summary>
    private ImmutableArray<(NodeName, int, bool)> TriedBeside { get; init; } = [];

    /// <summary>Nodes at which builds failed since something served last: left out of the next plan where others are enough.</summary>
    private ImmutableHashSet<NodeName> Shunned { get; init; } = [];

    /// <summary>Epochs that somebody wants replaced, one after the other; a new owner goes on with those that still serve.</summary>
    public ImmutableArray<int> ToReplace { get; init; } = [];

    /// <summary>Digest of the model that a roll changes to, until a pipeline of it serves; null = none.</summary>
    public string? NextDigest { get; init; }

    /// <summary>What planning needs to know of that model; null while this owner has not got it.</summary>
    public ModelFacts? Next { get; init; }

    /// <summary>Numbers of the asks that were taken last, at most <see cref="MaxHeard"/>, the newest last.</summary>
    public ImmutableArray<long> Heard { get; init; } = [];

    private static readonly IComparer<NodeName> s_byName = Comparer<NodeName>.Create((a, b) => string.CompareOrdinal(a.Value, b.Value));

    public static DeploymentState Begin(DeploymentSpec spec) => new() { Spec = spec };

    /// <summary>Nodes that may be given stages.</summary>
    private IReadOnlyList<NodeView> Available => [.. Nodes.Values.Where(node => !node.Leaving)];

    /// <summary>Stages a full plan has.</summary>
    public int WantedStages => StagesOf(Model);

    private int StagesOf(ModelFacts? model) => Spec.Ranges?.Count ?? Math.Min(Spec.Nodes, model?.Cost.LayerCount ?? Spec.Nodes);

    /// <summary>Of the model that an epoch's stages hold; null for one that does not count.</summary>
    public string? DigestOf(int epoch) => Epochs.FirstOrDefault(other => other.Epoch == epoch)?.Digest;

    /// <summary>Whether links to the epoch's head are waited for.</summary>
    public bool IsOpening(int epoch) => Epochs.Any(other => other.Epoch == epoch && other.Phase == EpochPhase.Opening);

    public DeploymentPhase Phase => this switch
    {
        { Serving: not null } => DeploymentPhase.Ready,
        { GaveUp: true } => DeploymentPhase.Failed,
        { Model: null } => DeploymentPhase.Importing,
        { Building: not null } => DeploymentPhase.Loading,
        _ => DeploymentPhase.WaitingForNodes,
    };

    public DeploymentView ToView()
    {
        EpochState[] shown = !Standing.IsEmpty ? [.. Standing] : Building is not null ? [Building] : [];
        IReadOnlyList<StageView> stages = [.. shown.SelectMany((epoch, pipeline) => epoch.Stages.Select(stage => new StageView(
            pipeline, stage.Address.Stage, stage.Plan.Node.Value, stage.Node.ProcessId, stage.Plan.Layers.First, stage.Plan.Layers.End, stage.Phase, stage.MemoryBytes, epoch.Epoch)))];
        (long done, long total) = shown.Length == 0
            ? (ImportedBytes, ImportBytes)
            : (shown.Sum(epoch => epoch.Stages.Sum(stage => stage.LoadedBytes)), shown.Sum(epoch => epoch.Stages.Sum(stage => stage.Plan.WeightBytes)));
        return new DeploymentView(Spec.Id.Value, Phase, shown.Select(epoch => epoch.Epoch).DefaultIfEmpty(LastEpoch).Max(), stages, done, total, Serving is null ? Problem : null, Serving is null && Refused);
    }

    /// <summary>The next state and what to do, in order. Late and foreign reports change nothing.</summary>
    public (DeploymentState State, IReadOnlyList<DeploymentEffect> Effects) Apply(DeploymentEvent happened)
    {
        var effects = new List<DeploymentEffect>();
        DeploymentState next = On(happened, effects);
        return (next.WithoutWhatIsOver().Decide(effects).WithoutWhatIsOver(), effects);
    }

    /// <summary>A change of the model is over when no pipeline is left that it could replace.</summary>
    private DeploymentState WithoutWhatIsOver()
    {
        ImmutableArray<int> left = ToReplace.RemoveAll(epoch => !Standing.Exists(standing => standing.Epoch == epoch));
        DeploymentState state = left.Length == ToReplace.Length ? this : this with { ToReplace = left };
        return NextDigest is not null && left.IsEmpty && Building?.Digest != NextDigest ? state with { NextDigest = null, Next = null } : state;
    }
}
