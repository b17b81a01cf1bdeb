using System.Diagnostics.Metrics;
using Lamina.Compute.Devices;
using Lamina.Node.Stages;

namespace Lamina.Node.Hosting;

/// <summary>Instruments of a node, by stage; whoever hosts it exports the meter. Labels are names of deployments and small numbers, never a caller's text.</summary>
internal sealed class NodeMetrics : IDisposable
{
    public const string MeterName = "Lamina.Node";

    private readonly Meter _meter = new(MeterName);

    public NodeMetrics(StageRegistry stages, MemoryBudget memory, ComputeDevice device)
    {
        _meter.CreateObservableCounter("stage_busy_seconds_total", () => Each(stages, u => u.Meter.Busy.TotalSeconds));
        _meter.CreateObservableCounter("stage_steps_total", () => Each(stages, u => u.Meter.Steps));
        _meter.CreateObservableCounter("stage_rows_total", () => Each(stages, u => u.Meter.Rows));
        _meter.CreateObservableCounter("stage_stale_frames_total", () => Each(stages, u => u.Meter.StaleFrames));
        _meter.CreateObservableGauge("stage_frames_waiting", () => Each(stages, u => u.Queued));
        _meter.CreateObservableGauge("stage_memory_bytes", () => Each(stages, u => u.MemoryBytes));
        _meter.CreateObservableCounter("head_tokens_total", () => EachHead(stages, h => h.Tokens));
        _meter.CreateObservableGauge("head_generations_running", () => EachHead(stages, h => h.Running));
        _meter.CreateObservableGauge("head_generations_waiting", () => EachHead(stages, h => h.Waiting));
        _meter.CreateObservableGauge("head_kv_blocks_free", () => EachHead(stages, h => h.FreeKvBlocks));
        _meter.CreateObservableGauge("node_memory_bytes", () => memory.Limit);
        _meter.CreateObservableGauge("node_memory_used_bytes", () => memory.Used);
        if (device.Read() is not null)
        {
            // Each is read anew; sensors take microseconds.
            _meter.CreateObservableGauge("gpu_utilisation_ratio", () => Each(device, reading => reading.Utilisation));
            _meter.CreateObservableGauge("gpu_memory_used_bytes", () => Each(device, reading => (double)reading.MemoryUsedBytes));
            _meter.CreateObservableGauge("gpu_power_watts", () => Each(device, reading => reading.PowerWatts));
            _meter.CreateObservableGauge("gpu_temperature_celsius", () => Each(device, reading => reading.TemperatureCelsius));
        }
    }

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<double>> Each(ComputeDevice device, Func<DeviceReading, double> value) =>
        device.Read() is { } reading ? [new Measurement<double>(value(reading), new KeyValuePair<string, object?>("device", device.Name))] : [];

    private static IEnumerable<Measurement<T>> Each<T>(StageRegistry stages, Func<StageUnit, T> value)
        where T : struct => stages.Units.Select(unit => new Measurement<T>(value(unit), Labels(unit)));

    private static IEnumerable<Measurement<T>> EachHead<T>(StageRegistry stages, Func<Pipeline.PipelineHead, T> value)
        where T : struct => stages.Units.Where(unit => unit.Head is not null).Select(unit => new Measurement<T>(value(unit.Head!), Labels(unit)));

    private static KeyValuePair<string, object?>[] Labels(StageUnit unit) =>
    [
        new("deployment", unit.Plan.Address.Deployment.Value),
        new("epoch", unit.Plan.Address.Epoch),
        new("pipeline", unit.Plan.Address.Pipeline),
        new("stage", unit.Plan.Address.Stage),
    ];
}
