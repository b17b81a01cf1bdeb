using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>A node as it described itself last.</summary>
public sealed record NodeView(
    NodeName Name,
    Endpoint Link,
    int ProcessId,
    string Version,
    int Cores,
    long MemoryBytes,
    long MemoryUsedBytes,
    long BytesPerSecond,
    IReadOnlyList<StageStatus> Stages,
    bool Leaving = false,
    string Device = "cpu")
{
    public static NodeView Of(NodeEvents.NodeDescribed node) => new(
        node.Node, node.LinkEndpoint, node.ProcessId, node.Version, node.Cores, node.MemoryBytes, node.MemoryUsedBytes, node.BytesPerSecond, node.Stages, node.Leaving, node.Device);

    /// <summary>True when both describe the same process: a node that was restarted holds no stages.</summary>
    public bool IsSameProcess(NodeView other) => ProcessId == other.ProcessId && Link == other.Link;

    /// <summary>True when both are of equal worth to a plan.</summary>
    public bool IsSameToPlans(NodeView other) => IsSameProcess(other) && Leaving == other.Leaving;

    /// <param name="isOver">Which stages here are to be unloaded and count as free.</param>
    /// <param name="bytesPerSecond">Speed to plan with.</param>
    public NodeCapacity Capacity(Func<StageAddress, bool> isOver, long bytesPerSecond)
    {
        long free = MemoryBytes - MemoryUsedBytes + Stages.Where(stage => isOver(stage.Address)).Sum(stage => stage.MemoryBytes);
        return new NodeCapacity(Name, Math.Clamp(free, 0, MemoryBytes), NodeCapacity.RoundSpeed(bytesPerSecond));
    }
}
