using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Quantization;

public class TensorTypesTests
{
    /// <summary>Every tensor of every file that llama-quantize made has the type chosen here.</summary>
    [Fact]
    public void Choose_ReferenceModels_GivesTheTypesOfLlamaQuantize()
    {
        using GgufFile original = GgufFile.Open(Repository.Shared("models/quant/q-f32.gguf"));
        string[] files = Directory.GetFiles(Repository.Shared("models/quant"), "q-*.gguf").Where(path => !path.EndsWith("f32.gguf", StringComparison.Ordinal)).ToArray();
        Assert.True(files.Length >= 26);
        foreach (string path in files)
        {
            using GgufFile quantised = GgufFile.Open(path);
            string name = Path.GetFileNameWithoutExtension(path)[2..];
            bool importance = name.StartsWith("IQ1", StringComparison.Ordinal) || name.StartsWith("IQ2", StringComparison.Ordinal) || name == "IQ3_XXS";
            QuantizationModel model = QuantizationModel.Of(original, importance);
            foreach (TensorView tensor in quantised.Tensors)
            {
                Assert.True(original.TryGet(tensor.Name, out TensorView source));
                GgmlType chosen = TensorTypes.Choose(QuantizationMixes.Parse(name), new GgufTensorInfo(source.Name, source.Type, source.Dimensions), model);
                Assert.True(chosen == tensor.Type, $"{name} {tensor.Name}: {chosen}, the file has {tensor.Type}");
            }
        }
    }

    [Theory]
    [InlineData(QuantizationMix.Q4_K_M, "token_embd.weight", GgmlType.Q4_K)]
    [InlineData(QuantizationMix.Q4_K_M, "output.weight", GgmlType.Q6_K)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.0.attn_v.weight", GgmlType.Q6_K)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.4.attn_v.weight", GgmlType.Q4_K)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.6.ffn_down.weight", GgmlType.Q6_K)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.31.ffn_down.weight", GgmlType.Q6_K)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.31.attn_norm.weight", GgmlType.F32)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.31.ffn_gate_inp.weight", GgmlType.F32)]
    [InlineData(QuantizationMix.Q4_K_M, "blk.31.attn_q.bias", GgmlType.F32)]
    [InlineData(QuantizationMix.Q4_0, "output.weight", GgmlType.Q6_K)]
    [InlineData(QuantizationMix.Q8_0, "output.weight", GgmlType.Q8_0)]
    [InlineData(QuantizationMix.Q3_K_M, "blk.1.attn_v.weight", GgmlType.Q5_K)]
    [InlineData(QuantizationMix.Q2_K, "blk.1.attn_v.weight", GgmlType.Q4_K)]
    public void Choose_LayerOfA32LayerModel_FollowsTheMix(QuantizationMix mix, string name, GgmlType expected) =>
        Assert.Equal(expected, TensorTypes.Choose(mix, new GgufTensorInfo(name, GgmlType.F32, [512, 512]), new QuantizationModel("llama", 32, 4, 0, false, false)));

    [Theory]
    [InlineData(QuantizationMix.Q4_K_M, "blk.9.ffn_up.weight", 576, GgmlType.Q5_0)]
    [InlineData(QuantizationMix.Q6_K, "blk.9.ffn_up.weight", 576, GgmlType.Q8_0)]
    [InlineData(QuantizationMix.IQ4_XS, "blk.9.ffn_up.weight", 576, GgmlType.IQ4_NL)]
    [InlineData(QuantizationMix.Q4_0, "blk.9.ffn_up.weight", 40, GgmlType.F16)]
    [InlineData(QuantizationMix.Q4_K_M, "output.weight", 576, GgmlType.Q8_0)]
    public void Choose_RowsThatDoNotFillBlocks_FallBack(QuantizationMix mix, string name, long columns, GgmlType expected) =>
        Assert.Equal(expected, TensorTypes.Choose(mix, new GgufTensorInfo(name, GgmlType.F32, [columns, 64]), new QuantizationModel("llama", 32, 4, 0, false, false)));

    [Fact]
    public void Choose_TiedEmbedding_CountsAsOutput() =>
        Assert.Equal(GgmlType.Q6_K, TensorTypes.Choose(QuantizationMix.Q4_0, new GgufTensorInfo("token_embd.weight", GgmlType.F32, [512, 512]), new QuantizationModel("llama", 32, 4, 0, true, false)));

    [Fact]
    public void Parse_UnknownName_ListsTheNames()
    {
        Assert.Equal(QuantizationMix.Q4_K_M, QuantizationMixes.Parse("q4_k"));
        Assert.Contains("Q4_K_M", Assert.Throws<ArgumentException>(() => QuantizationMixes.Parse("Q9")).Message);
        Assert.Throws<ArgumentException>(() => QuantizationMixes.Parse("15"));
        Assert.Throws<ArgumentException>(() => QuantizationMixes.Parse(""));
    }
}
