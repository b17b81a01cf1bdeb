using System.Diagnostics.Metrics;
using Lamina.Cluster.Messages;

namespace Lamina.Node.Pipeline;

/// <summary>Distributions of one head, in its node's meter. Measuring allocates nothing.</summary>
internal sealed class HeadMeasures(TenantId tenant, DeploymentId deployment)
{
    private static readonly Meter s_meter = new(Hosting.NodeMetrics.MeterName);

    private static readonly Histogram<int> s_batch = s_meter.CreateHistogram(
        "head_batch_rows", "{row}", "Rows of a head's steps: tokens that sequences wait for, and prompts' chunks.",
        advice: new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512] });

    private static readonly Histogram<double> s_queue = s_meter.CreateHistogram(
        "head_queue_seconds", "s", "Time from a generation's arrival at its head until it first runs.",
        advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] });

    private readonly KeyValuePair<string, object?>[] _labels = [new("tenant", tenant.Value), new("deployment", deployment.Value)];

    public void ObserveBatch(int rows) => s_batch.Record(rows, _labels);

    public void ObserveQueue(TimeSpan time) => s_queue.Record(time.TotalSeconds, _labels);
}
