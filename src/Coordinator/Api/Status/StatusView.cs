using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;

namespace Lamina.Coordinator.Api.Status;

/// <summary>What the status page shows of a cell.</summary>
public sealed record StatusView(string Tenant, IReadOnlyList<NodeView> Nodes, IReadOnlyList<DeploymentStatus> Deployments)
{
    public static StatusView Of(Cell cell) => new(
        cell.Tenant.Value, cell.Nodes, [.. cell.Deployments.Select(view => new DeploymentStatus(view, cell.LoadOf(view.Name, out int active), active, cell.OwnerOf(view.Name)))]);
}

/// <param name="Active">Generations that run or wait.</param>
/// <param name="Owner">Coordinator that owns the plan; empty before one has said so.</param>
public sealed record DeploymentStatus(DeploymentView View, GenerationProtocol.HeadLoad Load, int Active, string Owner = "");
