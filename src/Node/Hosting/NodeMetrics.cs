using System.Diagnostics.Metrics;
using Lamina.Cluster.Identity;
using Lamina.Compute.Devices;
using Lamina.Node.Stages;

namespace Lamina.Node.Hosting;

/// <summary>Instruments of a node, by stage; whoever hosts it exports the meter. Labels are the tenant, names of deployments and small numbers, never a caller's text.</summary>
internal sealed class NodeMetrics : IDisposable
{
    public const string MeterName = "Lamina.Node";

    private readonly Meter _meter = new(MeterName);

    public NodeMetrics(StageRegistry stages, MemoryBudget memory, ComputeDevice device, CertificateProvider certificates)
    {
        _meter.CreateObservableCounter("stage_busy_seconds_total", () => Each(stages, u => u.Meter.Busy.TotalSeconds), "s", "Time that a stage's thread computed.");
        _meter.CreateObservableCounter("stage_steps_total", () => Each(stages, u => u.Meter.Steps), description: "Micro-batches that a stage computed.");
        _meter.CreateObservableCounter("stage_rows_total", () => Each(stages, u => u.Meter.Rows), description: "Rows of those micro-batches.");
        _meter.CreateObservableCounter("stage_stale_frames_total", () => Each(stages, u => u.Meter.StaleFrames), description: "Frames of another epoch, which were dropped.");
        _meter.CreateObservableGauge("stage_frames_waiting", () => Each(stages, u => u.Queued), description: "Frames that wait for a stage's thread.");
        _meter.CreateObservableGauge("stage_memory_bytes", () => Each(stages, u => u.MemoryBytes), "By", "Memory of a stage: weights, cache, workspace.");
        _meter.CreateObservableCounter("head_tokens_total", () => EachHead(stages, (_, h) => h.Tokens), description: "Tokens that a head emitted.");
        _meter.CreateObservableCounter("head_prompt_tokens_total", () => EachHead(stages, (_, h) => h.PromptTokens.All), description: "Prompt tokens of the generations that began to run.");
        _meter.CreateObservableCounter("head_cached_prompt_tokens_total", () => EachHead(stages, (_, h) => h.PromptTokens.Cached), description: "Those of them that the prefix cache held.");
        _meter.CreateObservableCounter("head_guessed_tokens_total", () => EachHead(stages, (_, h) => h.Guesses.Made), description: "Tokens guessed ahead.");
        _meter.CreateObservableCounter("head_right_guesses_total", () => EachHead(stages, (_, h) => h.Guesses.Right), description: "Those of them that were right.");
        _meter.CreateObservableGauge("head_generations_running", () => EachHead(stages, (_, h) => h.Running), description: "Sequences that a head computes.");
        _meter.CreateObservableGauge("head_generations_waiting", () => EachHead(stages, (_, h) => h.Waiting), description: "Sequences that wait at a head.");
        _meter.CreateObservableGauge("head_kv_blocks_free", () => EachHead(stages, (_, h) => h.FreeKvBlocks), description: "Blocks of the key/value cache that sequences may take.");
        _meter.CreateObservableGauge("head_kv_blocks_used", () => EachHead(stages, (u, h) => u.Plan.Settings.KvBlocks - h.FreeKvBlocks), description: "Blocks of the key/value cache that sequences hold.");
        _meter.CreateObservableGauge("node_memory_bytes", () => memory.Limit, "By", "Memory that stages may take.");
        _meter.CreateObservableGauge("node_memory_used_bytes", () => memory.Used, "By", "Memory that stages hold.");
        _meter.CreateObservableGauge("certificate_expiry_timestamp_seconds", () => certificates.NotAfter.ToUnixTimeSeconds(), "s", "When the node's certificate ends, in seconds since 1970.");
        if (device.Read() is not null)
        {
            // Each is read anew; sensors take microseconds.
            _meter.CreateObservableGauge("gpu_utilisation_ratio", () => Each(device, reading => reading.Utilisation), description: "Share of time that the GPU computed.");
            _meter.CreateObservableGauge("gpu_memory_used_bytes", () => Each(device, reading => (double)reading.MemoryUsedBytes), "By", "Memory of the GPU that is used, by whomever.");
            _meter.CreateObservableGauge("gpu_power_watts", () => Each(device, reading => reading.PowerWatts), "W", "Power that the GPU draws.");
            _meter.CreateObservableGauge("gpu_temperature_celsius", () => Each(device, reading => reading.TemperatureCelsius), "Cel", "Temperature of the GPU.");
        }
    }

    public void Dispose() => _meter.Dispose();

    private static IEnumerable<Measurement<double>> Each(ComputeDevice device, Func<DeviceReading, double> value) =>
        device.Read() is { } reading ? [new Measurement<double>(value(reading), new KeyValuePair<string, object?>("device", device.Name))] : [];

    private static IEnumerable<Measurement<T>> Each<T>(StageRegistry stages, Func<StageUnit, T> value)
        where T : struct => stages.Units.Select(unit => new Measurement<T>(value(unit), Labels(unit)));

    private static IEnumerable<Measurement<T>> EachHead<T>(StageRegistry stages, Func<StageUnit, Pipeline.PipelineHead, T> value)
        where T : struct => stages.Units.Where(unit => unit.Head is not null).Select(unit => new Measurement<T>(value(unit, unit.Head!), Labels(unit)));

    private static KeyValuePair<string, object?>[] Labels(StageUnit unit) =>
    [
        new("tenant", unit.Plan.Tenant.Value),
        new("deployment", unit.Plan.Address.Deployment.Value),
        new("epoch", unit.Plan.Address.Epoch),
        new("pipeline", unit.Plan.Address.Pipeline),
        new("stage", unit.Plan.Address.Stage),
    ];
}
