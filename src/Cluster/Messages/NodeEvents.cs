using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>What a node says about itself; the transport lets it pass only when the names are those of the node's certificate.</summary>
public interface INodeEvent : IWireMessage
{
    NodeName Node { get; }
}

/// <summary>What a node tells the coordinators that described it.</summary>
public static class NodeEvents
{
    /// <param name="LinkEndpoint">Where the node's link listener is reached.</param>
    /// <param name="MemoryBytes">What stages may use in all.</param>
    /// <param name="BytesPerSecond">Measured streaming speed of its kernels, for the planner.</param>
    /// <param name="Device">What its stages compute on: cpu, or cuda:N.</param>
    /// <param name="Leaving">It takes no new stages and ends once the present ones have been placed elsewhere.</param>
    /// <param name="CpuShare">Share of <paramref name="Cores"/> that its process used since it was described last; above 1 when it used others as well.</param>
    /// <param name="DeviceShare">Share of the last moments in which its GPU computed; null without one.</param>
    /// <param name="TemperatureCelsius">Of the GPU that it computes on, else of the machine's warmest processor; null where no sensor tells.</param>
    /// <param name="CertificateEnds">Unix seconds; 0 from a node that does not say.</param>
    [MessagePackObject]
    public sealed record NodeDescribed(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] NodeName Node,
        [property: Key(2)] Endpoint LinkEndpoint,
        [property: Key(3)] long MemoryBytes,
        [property: Key(4)] long MemoryUsedBytes,
        [property: Key(5)] int Cores,
        [property: Key(6)] long BytesPerSecond,
        [property: Key(7)] string Version,
        [property: Key(8)] int ProcessId,
        [property: Key(9)] IReadOnlyList<StageStatus> Stages,
        [property: Key(10)] bool Leaving = false,
        [property: Key(11)] string Device = "cpu",
        [property: Key(12)] double CpuShare = 0,
        [property: Key(13)] double? DeviceShare = null,
        [property: Key(14)] double? TemperatureCelsius = null,
        [property: Key(15)] long CertificateEnds = 0) : INodeEvent;

    /// <summary>The node's certificate ends soon. Both texts are PEM: the present certificate, and a signing request for the key of the next.</summary>
    [MessagePackObject]
    public sealed record RenewalRequested(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] NodeName Node,
        [property: Key(2)] string CertificatePem,
        [property: Key(3)] string RequestPem) : INodeEvent;

    [MessagePackObject]
    public sealed record StageProgress(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] NodeName Node,
        [property: Key(3)] StagePhase Phase,
        [property: Key(4)] long DoneBytes,
        [property: Key(5)] long TotalBytes) : INodeEvent;

    [MessagePackObject]
    public sealed record StageLoaded(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] NodeName Node,
        [property: Key(3)] long MemoryBytes) : INodeEvent;

    [MessagePackObject]
    public sealed record StageReady(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] NodeName Node) : INodeEvent;

    /// <summary>The stage stands no longer: it could not be loaded or connected, a link of it closed, or its thread failed.</summary>
    [MessagePackObject]
    public sealed record StageFailed(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] StageAddress Address,
        [property: Key(2)] NodeName Node,
        [property: Key(3)] StageFailure Failure,
        [property: Key(4)] string Reason) : INodeEvent;
}

/// <param name="BusyShare">Share of the time since it was described last in which it computed.</param>
/// <param name="Queued">Frames that wait for its compute thread.</param>
/// <param name="LinkSeconds">Round trip to whom it sends its rows or tokens; 0 before the first ping, and of a pipeline's only stage.</param>
[MessagePackObject]
public sealed record StageStatus(
    [property: Key(0)] StageAddress Address,
    [property: Key(1)] StagePhase Phase,
    [property: Key(2)] int FirstLayer,
    [property: Key(3)] int EndLayer,
    [property: Key(4)] long MemoryBytes,
    [property: Key(5)] double BusyShare,
    [property: Key(6)] int Queued = 0,
    [property: Key(7)] double LinkSeconds = 0);

public enum StagePhase { Fetching = 0, Loading = 1, Loaded = 2, Ready = 3, Stopped = 4 }

public enum StageFailure { NotFound = 0, Corrupt = 1, Unsupported = 2, OutOfMemory = 3, LinkLost = 4, Superseded = 5, Internal = 6, Refused = 7 }
