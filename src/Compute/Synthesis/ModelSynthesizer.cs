using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Synthesis;

/// <param name="Layers">Overrides the shape's number of layers.</param>
public sealed record SynthesisOptions(SyntheticShape Shape, QuantizationMix Mix, string Architecture = "llama", int? Layers = null, ulong Seed = 1, int? Threads = null);

/// <summary>
/// Writes models of random weights with a working vocabulary: any shape and quantisation, the same file for the same options. They speak no language but
/// compute like real ones, which is what benchmarks and tests of equality need.
/// </summary>
public static class ModelSynthesizer
{
    /// <summary>Larger models get their quantised blocks from a <see cref="BlockPool"/> instead of one fit for each block.</summary>
    private const long LargestFitted = 1L << 25;
    private const int ChunkElements = 1 << 20;

    /// <summary>Writes the file. Throws <see cref="ArgumentException"/> for options that make no model.</summary>
    public static void Write(string path, SynthesisOptions options)
    {
        SyntheticArchitecture architecture = SyntheticArchitecture.Named(options.Architecture);
        SyntheticShape shape = (options.Layers ?? architecture.Layers) is { } layers ? options.Shape with { Layers = layers } : options.Shape;
        GgufMetadata metadata = architecture.Describe(shape)
            .Set("general.quantization_version", 2)
            .Set("general.file_type", (int)options.Mix)
            .Build();
        List<GgufTensorInfo> tensors = Tensors(metadata, architecture, shape, options.Mix);
        bool fitted = tensors.Sum(tensor => tensor.Columns * tensor.Rows) <= LargestFitted;
        using GgufWriter writer = GgufWriter.Create(path, metadata, tensors);
        var pools = new Dictionary<(GgmlType, SyntheticTensor), BlockPool>();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = options.Threads ?? Environment.ProcessorCount };
        for (int i = 0; i < tensors.Count; i++)
        {
            GgufTensorInfo tensor = tensors[i];
            if (tensor.Name == "rope_freqs.weight")
            {
                writer.Write(i, 0, MemoryMarshal.AsBytes(RopeFactors.Llama3(shape.HeadLength, shape.RopeBase, shape.RopeFactor).AsSpan()));
                continue;
            }

            SyntheticTensor distribution = SyntheticTensor.For(tensor, shape.Layers);
            BlockPool? pool = null;
            if (!fitted && tensor.Rows > 1 && !pools.TryGetValue((tensor.Type, distribution), out pool))
            {
                pools[(tensor.Type, distribution)] = pool = new BlockPool(tensor.Type, distribution, options.Seed);
            }

            WriteTensor(writer, i, distribution, pool, options.Seed, parallel);
        }
    }

    /// <summary>The tensors that the metadata implies, each with the type that the mix gives it.</summary>
    private static List<GgufTensorInfo> Tensors(GgufMetadata metadata, SyntheticArchitecture architecture, SyntheticShape shape, QuantizationMix mix)
    {
        bool Exists(string name) => name switch
        {
            "output.weight" => !IsTied(architecture, shape),
            "rope_freqs.weight" => shape.RopeFactor > 0 && architecture.Name == "llama",
            _ => architecture.Optional(name),
        };
        var model = new QuantizationModel(
            architecture.Architecture,
            shape.Layers,
            shape.Heads / shape.KvHeads,
            metadata.FindInt32($"{architecture.Architecture}.expert_count") ?? 0,
            IsTied(architecture, shape),
            HasImportance: false);
        return ModelShape.FromGguf(metadata).Tensors(new LayerRange(0, shape.Layers), Exists)
            .Where(spec => spec.Required || Exists(spec.Name))
            .DistinctBy(spec => spec.Name)
            .Select(spec => new GgufTensorInfo(spec.Name, GgmlType.F32, spec.Dimensions))
            .Select(tensor => tensor with { Type = TensorTypes.Choose(mix, tensor, model) })
            .ToList();
    }

    private static bool IsTied(SyntheticArchitecture architecture, SyntheticShape shape) => shape.Tied || architecture.AlwaysTied;

    private static void WriteTensor(GgufWriter writer, int index, SyntheticTensor distribution, BlockPool? pool, ulong seed, ParallelOptions parallel)
    {
        GgufTensorInfo tensor = writer.Tensors[index];
        var random = new CounterNormal(seed, tensor.Name);
        long elements = tensor.Columns * tensor.Rows;
        long chunks = (elements + ChunkElements - 1) / ChunkElements;
        Parallel.For(0, chunks, parallel, chunk =>
        {
            long first = chunk * ChunkElements;
            int count = (int)Math.Min(ChunkElements, elements - first);
            var bytes = new byte[GgmlTypes.ByteLength(tensor.Type, count)];
            if (pool is not null && count % pool.PieceElements == 0)
            {
                pool.Deal(random, first / pool.PieceElements, bytes);
            }
            else
            {
                var values = new float[count];
                random.Fill(values, first, distribution.Deviation, distribution.Mean);
                Quantizer.FromF32(tensor.Type, values, bytes);
            }

            writer.Write(index, GgmlTypes.ByteLength(tensor.Type, first), bytes);
        });
    }
}
