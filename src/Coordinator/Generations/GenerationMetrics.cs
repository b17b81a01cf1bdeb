using System.Diagnostics.Metrics;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Generations;

/// <summary>Instruments of generations that lose their pipeline; the API's metrics export them.</summary>
internal sealed class GenerationMetrics(string deployment)
{
    private static readonly Meter s_meter = new("Lamina.Coordinator");

    private static readonly Counter<long> s_failovers = s_meter.CreateCounter<long>("failovers_total", description: "Times that a generation lost its pipeline and went on at another.");

    private static readonly Histogram<double> s_stall = s_meter.CreateHistogram(
        "failover_stall_seconds", "s", "Time between the last token before such a loss and the first after it.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 30, 60] });

    public void CountFailover(TenantId tenant) => s_failovers.Add(1, new("tenant", tenant.Value), new("model", deployment));

    public void ObserveStall(TenantId tenant, TimeSpan time) => s_stall.Record(time.TotalSeconds, new("tenant", tenant.Value), new("model", deployment));
}
