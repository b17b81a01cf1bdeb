using System.Diagnostics.Metrics;

namespace Lamina.Cluster.Processes;

/// <summary>Instruments of the process itself, the same for coordinators and nodes.</summary>
public static class ProcessMetrics
{
    private static readonly Meter s_meter = new("Lamina.Process");

    static ProcessMetrics()
    {
        s_meter.CreateObservableCounter("gc_pause_seconds_total", () => GC.GetTotalPauseDuration().TotalSeconds, "s", "Time that the process stood still for its garbage collector.");
        s_meter.CreateObservableCounter("gc_collections_total", Collections, description: "Garbage collections by generation.");
        s_meter.CreateObservableCounter("cpu_seconds_total", () => Environment.CpuUsage.TotalTime.TotalSeconds, "s", "Processor time of all threads.");
        s_meter.CreateObservableGauge("memory_bytes", () => Environment.WorkingSet, "By", "Memory of the process that is resident.");
    }

    /// <summary>Makes the instruments known; repeated calls do nothing.</summary>
    public static void Start() => _ = s_meter.Name;

    private static IEnumerable<Measurement<long>> Collections() =>
        Enumerable.Range(0, GC.MaxGeneration + 1).Select(generation => new Measurement<long>(GC.CollectionCount(generation), new KeyValuePair<string, object?>("generation", generation)));
}
