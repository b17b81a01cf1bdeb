using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Tests.Gguf;

namespace Lamina.Compute.Tests.Model;

/// <summary>A model with seeded random weights in every tensor that its shape implies, written and read back as a GGUF file.</summary>
internal sealed class RandomModel : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    /// <param name="typeOf">Type of a matrix; vectors are F32.</param>
    /// <param name="optional">Which of the tensors that a file may leave out this one has.</param>
    public RandomModel(GgufMetadata metadata, Func<TensorSpec, GgmlType> typeOf, Func<string, bool>? optional = null, int seed = 1)
    {
        Shape = ModelShape.FromGguf(metadata);
        optional ??= _ => false;
        TensorSpec[] specs = [.. Shape.Tensors(new LayerRange(0, Shape.LayerCount), optional).Where(spec => spec.Required || optional(spec.Name))];
        GgufTensorInfo[] infos = [.. specs.Select(spec => new GgufTensorInfo(spec.Name, spec.Dimensions.Length == 1 ? GgmlType.F32 : typeOf(spec), spec.Dimensions))];
        string path = _folder["model.gguf"];
        using (GgufWriter writer = GgufWriter.Create(path, metadata, infos))
        {
            var random = new Random(seed);
            for (int i = 0; i < infos.Length; i++)
            {
                writer.Write(i, 0, Bytes(infos[i], random));
            }
        }

        File = GgufFile.Open(path);
    }

    public ModelShape Shape { get; }

    public GgufFile File { get; }

    /// <summary>Metadata of a small llama, to build upon.</summary>
    public static GgufMetadataBuilder Llama(int layers, string architecture = "llama") => new GgufMetadataBuilder()
        .Set("general.architecture", architecture)
        .Set($"{architecture}.block_count", layers)
        .Set($"{architecture}.context_length", 256)
        .Set($"{architecture}.embedding_length", 64)
        .Set($"{architecture}.feed_forward_length", 96)
        .Set($"{architecture}.attention.head_count", 4)
        .Set($"{architecture}.attention.head_count_kv", 2)
        .Set($"{architecture}.attention.layer_norm_rms_epsilon", 1e-5f)
        .Set($"{architecture}.attention.layer_norm_epsilon", 1e-5f)
        .Set($"{architecture}.vocab_size", 48);

    public void Dispose()
    {
        File.Dispose();
        _folder.Dispose();
    }

    private static byte[] Bytes(GgufTensorInfo info, Random random)
    {
        // Norm weights around one, the rest around zero with a spread that keeps activations near one.
        bool norm = info.Name.Contains("norm") && info.Name.EndsWith(".weight");
        float spread = info.Dimensions.Count == 1 ? 0.1f : 1.7f / MathF.Sqrt(info.Columns);
        var values = new float[info.Columns * info.Rows];
        foreach (ref float value in values.AsSpan())
        {
            value = ((random.NextSingle() * 2) - 1) * spread;
            value += norm || info.Name.StartsWith("rope") ? 1 : 0;
        }

        var bytes = new byte[info.ByteLength];
        if (info.Type == GgmlType.F32)
        {
            MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(bytes);
        }
        else
        {
            Quantizer.FromF32(info.Type, values, bytes);
        }

        return bytes;
    }
}
