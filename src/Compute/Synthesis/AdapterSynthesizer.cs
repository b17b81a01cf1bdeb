using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Compute.Synthesis;

/// <param name="Rank">Of every pair.</param>
/// <param name="Alpha">0 for pairs that are scaled already.</param>
/// <param name="Strength">How large the change is beside what the matrix itself gives.</param>
public sealed record AdapterSynthesisOptions(int Rank = 8, float Alpha = 16, float Strength = 0.5f, ulong Seed = 1);

/// <summary>Writes adapters of random pairs for the matrices of a model, so that what they change can be tested without training one.</summary>
public static class AdapterSynthesizer
{
    /// <param name="changes">Which of the model's matrices the adapter changes, by the tensor's name.</param>
    public static void Write(string path, GgufFile model, AdapterSynthesisOptions options, Func<string, bool> changes)
    {
        ModelShape shape = ModelShape.FromGguf(model.Metadata);
        GgufMetadata metadata = new GgufMetadataBuilder()
            .Set("general.type", "adapter")
            .Set("general.architecture", shape.Architecture)
            .Set("adapter.type", "lora")
            .Set("adapter.lora.alpha", options.Alpha)
            .Build();
        AdapterTarget[] targets = [.. AdapterShape.Targets(shape, new LayerRange(0, shape.LayerCount), name => model.TryGet(name, out _))
            .DistinctBy(target => target.Name).Where(target => changes(target.Name))];
        GgufTensorInfo[] tensors = [.. targets.SelectMany(target => Pair(target, options.Rank))];
        using GgufWriter writer = GgufWriter.Create(path, metadata, tensors);
        float scale = options.Alpha == 0 ? 1 : options.Alpha / options.Rank;
        for (int i = 0; i < tensors.Length; i++)
        {
            // A keeps the variance of its input; B spreads it over the rank, at the strength asked for.
            AdapterTarget target = targets[i / 2];
            bool down = i % 2 == 0;
            float deviation = down && !target.IsLookup ? 1 / MathF.Sqrt(target.Columns)
                : down ? 1
                : options.Strength / (scale * MathF.Sqrt(options.Rank)) * (target.IsLookup ? 1 / MathF.Sqrt(target.Columns) : 1);
            var values = new float[tensors[i].Columns * tensors[i].Rows];
            new CounterNormal(options.Seed, tensors[i].Name).Fill(values, 0, deviation, 0);
            writer.Write(i, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        }
    }

    private static GgufTensorInfo[] Pair(AdapterTarget target, int rank)
    {
        long[] Dimensions(long columns, long rows) => target.Parts > 1 ? [columns, rows, target.Parts] : [columns, rows];
        return target.IsLookup
            ? [new(target.Name + AdapterShape.DownSuffix, GgmlType.F32, Dimensions(rank, target.Rows)), new(target.Name + AdapterShape.UpSuffix, GgmlType.F32, Dimensions(rank, target.Columns))]
            : [new(target.Name + AdapterShape.DownSuffix, GgmlType.F32, Dimensions(target.Columns, rank)), new(target.Name + AdapterShape.UpSuffix, GgmlType.F32, Dimensions(rank, target.Rows))];
    }
}
