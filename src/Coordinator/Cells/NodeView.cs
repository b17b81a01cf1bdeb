using Lamina.Cluster.Messages;
using Lamina.Coordinator.Planning;

namespace Lamina.Coordinator.Cells;

/// <summary>A node as it described itself last.</summary>
/// <param name="CpuShare">Of its cores, since the description before; more than 1 when it used others as well.</param>
/// <param name="DeviceShare">Share of time in which its GPU computed; null without one.</param>
/// <param name="CertificateEnds">Null from a node that does not say.</param>
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
    string Device = "cpu",
    double CpuShare = 0,
    double? DeviceShare = null,
    double? TemperatureCelsius = null,
    DateTimeOffset? CertificateEnds = null)
{
    public static NodeView Of(NodeEvents.NodeDescribed node) => new(
        node.Node, node.LinkEndpoint, node.ProcessId, node.Version, node.Cores, node.MemoryBytes, node.MemoryUsedBytes, node.BytesPerSecond, node.Stages, node.Leaving, node.Device,
        node.CpuShare, node.DeviceShare, node.TemperatureCelsius, EndOf(node.CertificateEnds));

    /// <summary>A node may say anything: a time that no calendar has counts as none.</summary>
    private static DateTimeOffset? EndOf(long unixSeconds) => unixSeconds is > 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(unixSeconds) : null;

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
