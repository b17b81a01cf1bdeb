using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;
using Lamina.Compute.Tests.Gguf;

namespace Lamina.Compute.Tests.Model.Adapters;

/// <summary>What adapter files are refused for, and in which words.</summary>
public sealed class AdapterShapeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly RandomModel _model = new(RandomModel.Llama(2).Build(), _ => GgmlType.F32);

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData("general.type", "model", "'general.type' is model, expected adapter")]
    [InlineData("adapter.type", "ia3", "adapters of type 'ia3' ('adapter.type') are not supported; lora is")]
    public void FromGguf_OfAnotherKind_IsRefused(string key, string value, string message)
    {
        GgufMetadata metadata = Keys().Set(key, value).Build();
        Assert.Equal(message, Assert.ThrowsAny<Exception>(() => AdapterShape.FromGguf(metadata)).Message);
    }

    [Fact]
    public void Check_MadeForAnotherArchitecture_IsRefused() =>
        Assert.Equal("the adapter is made for architecture 'qwen2', the model has 'llama'", Refusal(Keys().Set("general.architecture", "qwen2"), Pair("blk.0.attn_q.weight", 64, 2, 64)));

    [Theory]
    [InlineData("blk.0.attn_q.weight", 32, 2, 64, "tensor 'blk.0.attn_q.weight.lora_a' is [32 x 2], expected [64 x 2] for 'blk.0.attn_q.weight' [64 x 64]")]
    [InlineData("blk.1.attn_k.weight", 64, 2, 64, "tensor 'blk.1.attn_k.weight.lora_b' is [2 x 64], expected [2 x 32] for 'blk.1.attn_k.weight' [64 x 32]")]
    [InlineData("blk.2.attn_q.weight", 64, 2, 64, "the adapter changes 'blk.2.attn_q.weight', which is no matrix of this model")]
    [InlineData("blk.0.attn_norm.weight", 64, 2, 64, "the adapter changes 'blk.0.attn_norm.weight', which is no matrix of this model")]
    [InlineData("blk.0.attn_q.weight", 64, 5000, 64, "tensor 'blk.0.attn_q.weight.lora_a' has a rank of 5000, expected 1 to 4096")]
    public void Check_TensorsThatDoNotFit_AreRefusedByName(string name, int columns, int rank, int rows, string message) =>
        Assert.Equal(message, Refusal(Keys(), Pair(name, columns, rank, rows)));

    [Fact]
    public void Check_HalfAPair_IsRefused() => Assert.Equal(
        "the adapter holds 'blk.0.attn_q.weight.lora_a' without 'blk.0.attn_q.weight.lora_b'", Refusal(Keys(), Pair("blk.0.attn_q.weight", 64, 2, 64)[..1]));

    [Fact]
    public void Check_OtherTensors_AreRefused() => Assert.Equal(
        "tensor 'blk.0.attn_norm.weight' of the adapter is neither a .lora_a nor a .lora_b", Refusal(Keys(), new GgufTensorInfo("blk.0.attn_norm.weight", GgmlType.F32, [64])));

    private static GgufMetadataBuilder Keys() => new GgufMetadataBuilder()
        .Set("general.type", "adapter").Set("general.architecture", "llama").Set("adapter.type", "lora").Set("adapter.lora.alpha", 4f);

    private static GgufTensorInfo[] Pair(string name, int columns, int rank, int rows) =>
        [new(name + ".lora_a", GgmlType.F32, [columns, rank]), new(name + ".lora_b", GgmlType.F32, [rank, rows])];

    private string Refusal(GgufMetadataBuilder keys, params GgufTensorInfo[] tensors)
    {
        GgufWriter.Create(_folder["adapter.gguf"], keys.Build(), tensors).Dispose();
        using GgufFile adapter = GgufFile.Open(_folder["adapter.gguf"]);
        AdapterShape shape = AdapterShape.FromGguf(adapter.Metadata);
        return Assert.ThrowsAny<Exception>(() => shape.Check(adapter.Tensors, _model.Shape, name => _model.File.TryGet(name, out _))).Message;
    }
}
