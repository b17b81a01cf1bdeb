using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Status;

/// <summary>What the status page shows of a cell.</summary>
public sealed record StatusView(string Tenant, IReadOnlyList<NodeView> Nodes, IReadOnlyList<DeploymentStatus> Deployments)
{
    public static StatusView Of(Cell cell)
    {
        IReadOnlyList<NodeView> nodes = cell.Nodes;
        return new StatusView(cell.Tenant.Value, nodes, [.. cell.Deployments.Select(view => StatusOf(cell, view, nodes))]);
    }

    private static DeploymentStatus StatusOf(Cell cell, DeploymentView view, IReadOnlyList<NodeView> nodes)
    {
        var id = new DeploymentId(view.Name);
        IEnumerable<PipelineStatus> pipelines = view.Stages.GroupBy(stage => (stage.Pipeline, stage.Epoch)).Select(pipeline => new PipelineStatus(
            pipeline.Key.Pipeline, pipeline.Key.Epoch, cell.LoadOf(view.Name, pipeline.Key.Epoch), [.. pipeline.Select(stage => StageOf(nodes, id, stage))]));
        return new DeploymentStatus(view, cell.LoadOf(view.Name, out int active), active, cell.OwnerOf(view.Name)) { Pipelines = [.. pipelines] };
    }

    /// <summary>What the stage's node said of it last; null before it has.</summary>
    private static StageStatus? StageOf(IReadOnlyList<NodeView> nodes, DeploymentId deployment, StageView stage) => nodes.FirstOrDefault(node => node.Name.Value == stage.Node)?.Stages
        .FirstOrDefault(status => status.Address.Deployment == deployment && status.Address.Epoch == stage.Epoch && status.Address.Stage == stage.Stage);
}

/// <param name="Active">Generations that run or wait.</param>
/// <param name="Owner">Coordinator that owns the plan; empty before one has said so.</param>
public sealed record DeploymentStatus(DeploymentView View, GenerationProtocol.HeadLoad Load, int Active, string Owner = "")
{
    public IReadOnlyList<PipelineStatus> Pipelines { get; init; } = [];
}

/// <param name="Load">What its head reports.</param>
/// <param name="Stages">In order, head first.</param>
public sealed record PipelineStatus(int Pipeline, int Epoch, GenerationProtocol.HeadLoad Load, IReadOnlyList<StageStatus?> Stages);
