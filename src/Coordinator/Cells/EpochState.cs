using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>A stage on its way, or serving.</summary>
public sealed record StageState(StageAddress Address, StagePlan Plan, NodeView Node, StagePhase Phase, long DoneBytes, long TotalBytes, long MemoryBytes)
{
    /// <summary>Bytes of weights that count as loaded: fetching is the first half of the way, loading the second.</summary>
    public long LoadedBytes
    {
        get
        {
            double share = TotalBytes > 0 ? Math.Clamp(DoneBytes / (double)TotalBytes, 0, 1) : 0;
            return Phase switch
            {
                StagePhase.Fetching => (long)(Plan.WeightBytes * share / 2),
                StagePhase.Loading => (long)(Plan.WeightBytes * (1 + share) / 2),
                _ => Plan.WeightBytes,
            };
        }
    }
}

public enum EpochPhase { Loading, Connecting, Opening, Serving }

/// <summary>One realisation of a plan: its stages and how far they are.</summary>
/// <param name="Digest">Of the model that its stages hold.</param>
/// <param name="Replaces">The epoch whose place it takes once it serves; null when it is one more.</param>
public sealed record EpochState(int Epoch, EpochPhase Phase, Plan Plan, ImmutableArray<StageState> Stages, int? Replaces = null, string? Digest = null)
{
    public static EpochState Begin(DeploymentId deployment, int epoch, Plan plan, IReadOnlyDictionary<NodeName, NodeView> nodes)
    {
        var stages = ImmutableArray.CreateBuilder<StageState>();
        for (int pipeline = 0; pipeline < plan.Pipelines.Count; pipeline++)
        {
            IReadOnlyList<StagePlan> stagePlans = plan.Pipelines[pipeline].Stages;
            for (int stage = 0; stage < stagePlans.Count; stage++)
            {
                stages.Add(new StageState(
                    new StageAddress(deployment, epoch, pipeline, stage), stagePlans[stage], nodes[stagePlans[stage].Node], StagePhase.Fetching, 0, 0, 0));
            }
        }

        return new EpochState(epoch, EpochPhase.Loading, plan, stages.ToImmutable());
    }

    /// <summary>Stages of one pipeline, head first.</summary>
    public IEnumerable<StageState> Pipeline(int pipeline) => Stages.Where(stage => stage.Address.Pipeline == pipeline);

    public IEnumerable<StageState> Heads => Stages.Where(stage => stage.Address.Stage == 0);

    /// <summary>The stage at that address if it lies on that node; others' reports are not believed.</summary>
    public StageState? Find(StageAddress address, NodeName node) => Stages.FirstOrDefault(stage => stage.Address == address && stage.Plan.Node == node);

    public EpochState With(StageState stage) => this with { Stages = Stages.Replace(Stages.First(s => s.Address == stage.Address), stage) };

    public bool Uses(NodeName node) => Stages.Any(stage => stage.Plan.Node == node);

    public bool All(StagePhase phase) => Stages.All(stage => stage.Phase == phase);

    /// <summary>A node of this plan that is gone or was restarted, or null.</summary>
    public NodeName? MissingNode(IReadOnlyDictionary<NodeName, NodeView> nodes)
    {
        foreach (StageState stage in Stages)
        {
            if (!nodes.TryGetValue(stage.Plan.Node, out NodeView? node) || !node.IsSameProcess(stage.Node))
            {
                return stage.Plan.Node;
            }
        }

        return null;
    }
}
