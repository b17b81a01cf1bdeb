using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;

namespace Lamina.Compute.Tests.Gguf;

public sealed class ModelInspectionTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Of_SmallModel_CountsWhatItHolds()
    {
        // 512 tokens, width 256, one layer of 4 heads and 2 key/value heads, inner width 512.
        ModelSynthesizer.Write(folder["m"], new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0, Layers: 1));
        using GgufFile file = GgufFile.Open(folder["m"]);

        ModelInspection found = ModelInspection.Of(file);

        long matrices = (256 * 256) + (256 * 128 * 2) + (256 * 256) + (3 * 256 * 512);
        long shared = 2 * 512 * 256;
        Assert.Equal(matrices + shared + (3 * 256), found.Parameters);
        Assert.Equal([(matrices / 32 * 34) + (2 * 256 * 4)], found.LayerBytes);
        Assert.Equal((shared / 32 * 34) + (256 * 4), found.SharedBytes);
        Assert.Equal(("llama", "Q8_0", "gpt2/llama-bpe", 1, 256, 512), (found.Architecture, found.FileType, found.Tokenizer, found.Layers, found.Embedding, found.Vocabulary));
        Assert.Equal([(GgmlType.Q8_0, 9), (GgmlType.F32, 3)], found.Types.Select(type => (type.Type, type.Tensors)));
        Assert.Equal(2 * 2 * 64 * 2, found.KvBytesPerPosition);
        Assert.Empty(found.Unsupported);
    }

    [Fact]
    public void Of_UnknownArchitectureOrMissingTensor_SaysWhat()
    {
        var metadata = new GgufMetadataBuilder().Set("general.architecture", "abacus");
        using (GgufFile file = GgufFile.Open(folder.Write("a", GgufWriter.ToBytes(metadata.Build(), []))))
        {
            Assert.Contains("'abacus'", Assert.Single(ModelInspection.Of(file).Unsupported));
        }

        ModelSynthesizer.Write(folder["m"], new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.F32, Layers: 1));
        using GgufFile whole = GgufFile.Open(folder["m"]);
        (GgufTensorInfo, byte[])[] kept = [.. whole.Tensors.Where(tensor => tensor.Name != "blk.0.attn_k.weight")
            .Select(tensor => (new GgufTensorInfo(tensor.Name == "output_norm.weight" ? "surprise.weight" : tensor.Name, tensor.Type, tensor.Dimensions), tensor.RowBytes(0, (int)tensor.Rows).ToArray()))];
        using GgufFile holed = GgufFile.Open(folder.Write("h", GgufWriter.ToBytes(whole.Metadata, kept)));
        Assert.Equal(
            ["tensor 'blk.0.attn_k.weight' [256 x 128] is missing", "tensor 'output_norm.weight' [256] is missing", "tensor 'surprise.weight' has no place in architecture 'llama'"],
            ModelInspection.Of(holed).Unsupported);
    }
}
