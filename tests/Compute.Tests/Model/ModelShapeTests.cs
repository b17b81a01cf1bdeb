using Lamina.Compute.Gguf;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed class ModelShapeTests
{
    private static readonly StageOptions Options = new() { ContextLength = 32, KvBlocks = 1, MaxBatchRows = 4, MaxSequences = 1 };

    [Fact]
    public void FromGguf_OfALlama_ReadsWhatTheKeysSay()
    {
        ModelShape shape = ModelShape.FromGguf(RandomModel.Llama(3).Build());
        Assert.Equal(("llama", 3, 64, 48, 256), (shape.Architecture, shape.LayerCount, shape.EmbeddingLength, shape.VocabularySize, shape.ContextLength));

        // Two heads of 16 keys and 16 values in half precision, 32 positions: 2 x 32 x (16 + 16) x 2 bytes.
        Assert.Equal(4096, shape.KvBlockBytes(1, GgmlType.F16));
    }

    /// <summary>A key that says something else than the tensors do is found before any kernel runs, whatever the lie.</summary>
    [Trait("Attack", "A7")]
    [Theory]
    [InlineData("block_count")]
    [InlineData("embedding_length")]
    [InlineData("feed_forward_length")]
    [InlineData("attention.head_count")]
    [InlineData("attention.head_count_kv")]
    [InlineData("attention.key_length")]
    [InlineData("attention.value_length")]
    [InlineData("rope.dimension_count")]
    [InlineData("vocab_size")]
    [InlineData("context_length")]
    [InlineData("expert_count")]
    [InlineData("expert_used_count")]
    public void Load_WithAFalseHyperParameter_IsRefused(string name)
    {
        GgufMetadataBuilder Honest() => RandomModel.Llama(2)
            .Set("llama.attention.key_length", 16)
            .Set("llama.attention.value_length", 16)
            .Set("llama.rope.dimension_count", 16)
            .Set("llama.expert_count", 4)
            .Set("llama.expert_used_count", 2);

        using var model = new RandomModel(Honest().Build(), _ => GgmlType.F32, tensor => tensor == "rope_freqs.weight");
        int honest = model.File.Metadata.GetInt32("llama." + name);
        foreach (long lie in new[] { 0L, -1, honest * 2L, honest + 1L, 1L << 31, long.MaxValue, long.MinValue })
        {
            GgufMetadata metadata = Honest().Set("llama." + name, lie).Build();
            Exception? refusal = Record.Exception(() =>
            {
                ModelShape shape = ModelShape.FromGguf(metadata);
                Stage.Load(model.File, shape, new LayerRange(0, shape.LayerCount), Options).Dispose();
            });

            // Numbers that no tensor contradicts are the file's own business.
            bool harmless = name == "context_length" && lie > 0 && lie < 1L << 31
                || name == "expert_used_count" && lie is > 0 and <= 4;
            Assert.True(harmless ? refusal is null : refusal is InvalidDataException, $"{name} = {lie}: {refusal?.GetType().Name ?? "accepted"} {refusal?.Message}");
        }
    }

    [Theory]
    [InlineData("block_count")]
    [InlineData("embedding_length")]
    [InlineData("attention.head_count")]
    [InlineData("attention.layer_norm_rms_epsilon")]
    [InlineData("context_length")]
    public void FromGguf_WithoutAKey_NamesIt(string name)
    {
        GgufMetadata metadata = RandomModel.Llama(1).Remove("llama." + name).Build();
        Assert.Contains("llama." + name, Assert.Throws<InvalidDataException>(() => ModelShape.FromGguf(metadata)).Message);
    }

    [Fact]
    public void FromGguf_WithAnUnknownScaling_NamesIt()
    {
        GgufMetadata metadata = RandomModel.Llama(1).Set("llama.rope.scaling.type", "spiral").Build();
        Assert.Contains("'spiral'", Assert.Throws<NotSupportedException>(() => ModelShape.FromGguf(metadata)).Message);
    }

    [Trait("Attack", "A7")]
    [Fact]
    public void Load_WithATensorOfAnotherShape_NamesBothShapes()
    {
        using var model = new RandomModel(RandomModel.Llama(1).Build(), _ => GgmlType.F32);
        ModelShape shape = ModelShape.FromGguf(RandomModel.Llama(1).Set("llama.feed_forward_length", 100).Build());
        string message = Assert.Throws<InvalidDataException>(() => Stage.Load(model.File, shape, new LayerRange(0, 1), Options)).Message;
        Assert.Equal("tensor 'blk.0.ffn_gate.weight' is [64 x 96], expected [64 x 100] from the metadata", message);
    }

    [Fact]
    public void Load_WithoutATensor_NamesIt()
    {
        using var model = new RandomModel(RandomModel.Llama(1).Build(), _ => GgmlType.F32);
        ModelShape shape = ModelShape.FromGguf(RandomModel.Llama(2).Build());
        Assert.Contains("'blk.1.attn_norm.weight'", Assert.Throws<InvalidDataException>(() => Stage.Load(model.File, shape, new LayerRange(0, 2), Options)).Message);
    }

    [Fact]
    public void TensorNames_OfATiedModel_GiveTheLastStageTheEmbedding()
    {
        using var model = new RandomModel(RandomModel.Llama(4).Build(), _ => GgmlType.F32);
        string[] all = [.. model.File.Tensors.Select(tensor => tensor.Name)];
        string[][] stages = [.. new[] { new LayerRange(0, 1), new LayerRange(1, 3), new LayerRange(3, 4) }.Select(range => model.Shape.TensorNames(range, all.Contains).ToArray())];
        Assert.Contains("token_embd.weight", stages[0]);
        Assert.DoesNotContain("token_embd.weight", stages[1]);
        Assert.Contains("token_embd.weight", stages[2]);
        Assert.Contains("output_norm.weight", stages[2]);
        Assert.All(stages[1], name => Assert.Matches("^blk\\.[12]\\.", name));
        Assert.Equal(all.Order(), stages.SelectMany(names => names).Distinct().Order());
    }

    [Fact]
    public void UnknownTensors_OfAFileWithMore_NamesThem()
    {
        ModelShape shape = ModelShape.FromGguf(RandomModel.Llama(1).Build());
        Assert.Equal(["blk.0.mystery.weight", "blk.1.ffn_up.weight"], shape.UnknownTensors(["token_embd.weight", "blk.1.ffn_up.weight", "blk.0.mystery.weight", "blk.0.attn_q.bias"]));
    }
}
