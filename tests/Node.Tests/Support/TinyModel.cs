using Lamina.Compute.Gguf;

namespace Lamina.Node.Tests.Support;

/// <summary>A llama model of random weights, small enough that a whole pipeline of it runs in milliseconds: 6 layers, width 64, grouped heads, 160 tokens.</summary>
internal sealed class TinyModel : IDisposable
{
    public const int Layers = 6;
    public const int Vocabulary = 160;
    public const int Width = 64;
    private const int FeedForward = 96;
    private const int KeyValueWidth = 32;

    private static readonly GgmlType[] s_types = [GgmlType.Q8_0, GgmlType.Q4_0, GgmlType.F32];

    private readonly Random _random;

    public TinyModel(int seed = 20_261_122)
    {
        _random = new Random(seed);
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"lamina-tiny-{Guid.NewGuid():N}.gguf");
        System.IO.File.WriteAllBytes(Path, GgufWriter.ToBytes(Metadata(), [.. Tensors()]));
        File = GgufFile.Open(Path);
    }

    public string Path { get; }

    public GgufFile File { get; }

    public void Dispose()
    {
        File.Dispose();
        System.IO.File.Delete(Path);
    }

    private static GgufMetadata Metadata() => new GgufMetadataBuilder()
        .Set("general.architecture", "llama")
        .Set("llama.block_count", Layers)
        .Set("llama.context_length", 512)
        .Set("llama.embedding_length", Width)
        .Set("llama.feed_forward_length", FeedForward)
        .Set("llama.attention.head_count", 4)
        .Set("llama.attention.head_count_kv", 2)
        .Set("llama.attention.layer_norm_rms_epsilon", 1e-5f)
        .Set("llama.rope.dimension_count", 16)
        .Set("llama.vocab_size", Vocabulary)
        .Build();

    private IEnumerable<(GgufTensorInfo Info, byte[] Data)> Tensors()
    {
        yield return Matrix("token_embd.weight", Width, Vocabulary, GgmlType.Q8_0);
        for (int layer = 0; layer < Layers; layer++)
        {
            GgmlType type = s_types[layer % s_types.Length];
            yield return Norm($"blk.{layer}.attn_norm.weight");
            yield return Matrix($"blk.{layer}.attn_q.weight", Width, Width, type);
            yield return Matrix($"blk.{layer}.attn_k.weight", Width, KeyValueWidth, type);
            yield return Matrix($"blk.{layer}.attn_v.weight", Width, KeyValueWidth, type);
            yield return Matrix($"blk.{layer}.attn_output.weight", Width, Width, type);
            yield return Norm($"blk.{layer}.ffn_norm.weight");
            yield return Matrix($"blk.{layer}.ffn_gate.weight", Width, FeedForward, type);
            yield return Matrix($"blk.{layer}.ffn_up.weight", Width, FeedForward, type);
            yield return Matrix($"blk.{layer}.ffn_down.weight", FeedForward, Width, type);
        }

        yield return Norm("output_norm.weight");
        yield return Matrix("output.weight", Width, Vocabulary, GgmlType.Q8_0);
    }

    private (GgufTensorInfo Info, byte[] Data) Norm(string name)
    {
        var values = new float[Width];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = 0.75f + (_random.NextSingle() / 2);
        }

        byte[] data = new byte[Width * sizeof(float)];
        Buffer.BlockCopy(values, 0, data, 0, data.Length);
        return (new GgufTensorInfo(name, GgmlType.F32, [Width]), data);
    }

    /// <summary>Random blocks, scaled to a standard deviation of about 0.15.</summary>
    private (GgufTensorInfo Info, byte[] Data) Matrix(string name, int columns, int rows, GgmlType type)
    {
        var info = new GgufTensorInfo(name, type, [columns, rows]);
        byte[] data = new byte[info.ByteLength];
        if (type == GgmlType.F32)
        {
            for (int i = 0; i < data.Length; i += sizeof(float))
            {
                BitConverter.TryWriteBytes(data.AsSpan(i), (_random.NextSingle() - 0.5f) / 2);
            }

            return (info, data);
        }

        _random.NextBytes(data);
        int block = GgmlTypes.BlockBytes(type);
        float scale = type == GgmlType.Q8_0 ? 0.002f : 0.032f;
        for (int i = 0; i < data.Length; i += block)
        {
            BitConverter.TryWriteBytes(data.AsSpan(i), (Half)(scale * (0.5f + _random.NextSingle())));
        }

        return (info, data);
    }
}
