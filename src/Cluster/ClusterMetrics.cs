using System.Diagnostics.Metrics;
using Lamina.Cluster.Links;

namespace Lamina.Cluster;

/// <summary>Instruments of this room; whoever hosts it exports the meter. Labels come from closed sets only.</summary>
public static class ClusterMetrics
{
    public const string MeterName = "Lamina.Cluster";

    private static readonly Meter s_meter = new(MeterName);

    private static readonly (LinkPurpose Purpose, KeyValuePair<string, object?> Label)[] s_purposes =
        [.. Enum.GetValues<LinkPurpose>().Select(purpose => (purpose, new KeyValuePair<string, object?>("purpose", purpose.ToString().ToLowerInvariant())))];

    private static readonly long[] s_sent = new long[s_purposes.Length + 1];
    private static readonly long[] s_received = new long[s_purposes.Length + 1];

    private static readonly Histogram<double> s_roundTrip = s_meter.CreateHistogram(
        "link_round_trip_seconds", "s", "Round trip of the pings on links.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5] });

    /// <summary>Peers refused while authenticating, by <c>reason</c>.</summary>
    internal static readonly Counter<long> MtlsRejected = s_meter.CreateCounter<long>("mtls_rejected_total", description: "Peers refused while authenticating.");

    /// <summary>Messages of authenticated peers that were refused while decoding, by <c>what</c>.</summary>
    internal static readonly Counter<long> WireRefused = s_meter.CreateCounter<long>("wire_refused_total", description: "Messages of authenticated peers that could not be decoded.");

    internal static readonly UpDownCounter<long> OpenLinks = s_meter.CreateUpDownCounter<long>("links_open", description: "Data connections that are open.");

    internal static readonly UpDownCounter<long> OpenAssociations = s_meter.CreateUpDownCounter<long>("associations_open", description: "Control connections that are open.");

    static ClusterMetrics()
    {
        s_meter.CreateObservableCounter("link_sent_bytes_total", () => Each(s_sent), "By", "Bytes of frames sent on links.");
        s_meter.CreateObservableCounter("link_received_bytes_total", () => Each(s_received), "By", "Bytes of frames received on links.");
    }

    // Called for every frame: a sum and nothing else.
    internal static void CountSent(LinkPurpose purpose, long bytes) => Interlocked.Add(ref s_sent[(int)purpose], bytes);

    internal static void CountReceived(LinkPurpose purpose, long bytes) => Interlocked.Add(ref s_received[(int)purpose], bytes);

    internal static void ObserveRoundTrip(LinkPurpose purpose, TimeSpan time) => s_roundTrip.Record(time.TotalSeconds, s_purposes[(int)purpose - 1].Label);

    private static IEnumerable<Measurement<long>> Each(long[] sums) => s_purposes.Select(purpose => new Measurement<long>(Interlocked.Read(ref sums[(int)purpose.Purpose]), purpose.Label));
}
