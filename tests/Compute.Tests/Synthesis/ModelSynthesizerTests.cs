using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Architectures;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Gguf;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Synthesis;

public sealed class ModelSynthesizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string Write(SynthesisOptions options, string name = "m.gguf")
    {
        ModelSynthesizer.Write(folder[name], options);
        return folder[name];
    }

    [Fact]
    public void Write_SameOptions_GivesTheSameBytes()
    {
        var options = new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q4_K_M, Layers: 1);
        byte[] first = File.ReadAllBytes(Write(options, "a"));
        Assert.Equal(first, File.ReadAllBytes(Write(options with { Threads = 1 }, "b")));
        Assert.NotEqual(first, File.ReadAllBytes(Write(options with { Seed = 2 }, "c")));
    }

    [Theory]
    [InlineData(QuantizationMix.F32)]
    [InlineData(QuantizationMix.F16)]
    [InlineData(QuantizationMix.Q8_0)]
    [InlineData(QuantizationMix.Q4_0)]
    [InlineData(QuantizationMix.Q4_K_M)]
    [InlineData(QuantizationMix.Q2_K)]
    [InlineData(QuantizationMix.Q3_K_M)]
    [InlineData(QuantizationMix.IQ4_XS)]
    public void Write_EveryMix_GivesWeightsOfUnitGain(QuantizationMix mix)
    {
        using GgufFile file = GgufFile.Open(Write(new SynthesisOptions(SyntheticShape.Preset("tiny"), mix, Layers: 2)));
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        Assert.Equal((2, 256, 512), (shape.LayerCount, shape.EmbeddingLength, shape.VocabularySize));
        Assert.Empty(shape.UnknownTensors(file.Tensors.Select(tensor => tensor.Name)));
        Assert.True(file.TryGet("blk.1.attn_q.weight", out TensorView query));
        var values = new float[query.Columns * query.Rows];
        Dequantizer.ToF32(query.Type, query.RowBytes(0, (int)query.Rows), values);
        Assert.InRange(values.Average(), -0.002, 0.002);
        Assert.InRange(values.Average(value => value * value) * query.Columns, 0.9, 1.1);
    }

    public static TheoryData<string> Architectures() => [.. SyntheticArchitectures.All.Select(architecture => architecture.Name)];

    [Theory]
    [MemberData(nameof(Architectures))]
    public void Write_EveryArchitecture_HasExactlyTheTensorsOfItsShape(string architecture)
    {
        SyntheticShape shape = SyntheticShape.Preset("tiny") with { Embedding = 128, FeedForward = 64, Layers = 2 };
        using GgufFile file = GgufFile.Open(Write(new SynthesisOptions(shape, QuantizationMix.Q4_0, architecture)));
        Assert.Empty(ModelInspection.Of(file).Unsupported);
    }

    [Fact]
    public void Architectures_TakenTogether_CoverAllThatRun() =>
        Assert.Equal(ArchitectureList.Names.Order(), SyntheticArchitectures.All.Select(architecture => architecture.Architecture).Distinct().Order());

    [Fact]
    public void Write_LlamaShape_HasTheTensorsOfTheRealOne()
    {
        SyntheticShape small = SyntheticShape.Preset("llama-1b") with { Vocabulary = 1024, FeedForward = 512, Embedding = 512, Heads = 8, KvHeads = 2 };
        using GgufFile file = GgufFile.Open(Write(new SynthesisOptions(small, QuantizationMix.Q4_0, Layers: 1)));
        Assert.False(file.TryGet("output.weight", out _));
        Assert.True(file.TryGet("token_embd.weight", out TensorView embedding));
        Assert.Equal(GgmlType.Q6_K, embedding.Type);
        Assert.True(file.TryGet("rope_freqs.weight", out TensorView factors));
        var values = new float[32];
        Dequantizer.ToF32(factors.Type, factors.RowBytes(0, 1), values);
        // Head of 64, base 500000: the first pair turns fast, the last one's wavelength is far beyond 8192 positions.
        Assert.Equal((1f, 32f), (values[0], values[31]));
    }

    [Fact]
    public void Write_Vocabulary_EncodesAndDecodes()
    {
        using GgufFile file = GgufFile.Open(Write(new SynthesisOptions(SyntheticShape.Preset("tiny") with { Vocabulary = 4096 }, QuantizationMix.Q4_0, Layers: 1)));
        Tokenizer tokenizer = Tokenizer.FromGguf(file.Metadata);
        Assert.Equal(4096, tokenizer.VocabularySize);
        int[] tokens = tokenizer.Encode("Grüße, ab cd!");
        Assert.Equal("Grüße, ab cd!", tokenizer.Decode(tokens));
        Assert.Equal([256 + 1], tokenizer.Encode("ab"));
        Assert.Equal(4096 - 256, tokenizer.Bos);
        Assert.Contains(4096 - 256 + 4, tokenizer.EndOfGeneration);
    }

    [Fact]
    public void Write_LargeModel_DealsBlocksThatDiffer()
    {
        SyntheticShape shape = SyntheticShape.Preset("tiny") with { Embedding = 2048, Heads = 16, FeedForward = 8192 };
        using GgufFile file = GgufFile.Open(Write(new SynthesisOptions(shape, QuantizationMix.Q4_0, Layers: 1)));
        Assert.True(file.TryGet("blk.0.ffn_up.weight", out TensorView up));
        Assert.False(up.RowBytes(0, 1).SequenceEqual(up.RowBytes(1, 1)));
        var values = new float[up.Columns * up.Rows];
        Dequantizer.ToF32(up.Type, up.RowBytes(0, (int)up.Rows), values);
        Assert.InRange(values.Average(value => value * value) * up.Columns, 0.95, 1.05);
    }

    [Fact]
    public void Options_UnknownNamesAndSizes_AreRefusedWithTheChoices()
    {
        Assert.Contains("llama-1b", Assert.Throws<ArgumentException>(() => SyntheticShape.Preset("huge")).Message);
        var options = new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q4_0);
        Assert.Contains("llama", Assert.Throws<ArgumentException>(() => ModelSynthesizer.Write(folder["x"], options with { Architecture = "nonesuch" })).Message);
        Assert.Throws<ArgumentException>(() => ModelSynthesizer.Write(folder["x"], options with { Shape = options.Shape with { Vocabulary = 100 } }));
    }
}
