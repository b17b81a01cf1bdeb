using System.Diagnostics.Metrics;

namespace Lamina.Cluster;

/// <summary>Instruments of this room; whoever hosts it exports the meter. Labels come from closed sets only.</summary>
public static class ClusterMetrics
{
    public const string MeterName = "Lamina.Cluster";

    private static readonly Meter s_meter = new(MeterName);

    /// <summary>Peers refused while authenticating, by <c>reason</c>.</summary>
    internal static readonly Counter<long> MtlsRejected = s_meter.CreateCounter<long>("mtls_rejected_total");

    /// <summary>Messages of authenticated peers that were refused while decoding, by <c>what</c>.</summary>
    internal static readonly Counter<long> WireRefused = s_meter.CreateCounter<long>("wire_refused_total");

    internal static readonly UpDownCounter<long> OpenLinks = s_meter.CreateUpDownCounter<long>("links_open");

    internal static readonly UpDownCounter<long> OpenAssociations = s_meter.CreateUpDownCounter<long>("associations_open");
}
