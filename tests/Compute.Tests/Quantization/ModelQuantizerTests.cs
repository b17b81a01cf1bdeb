using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Compute.Tests.Gguf;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Quantization;

public sealed class ModelQuantizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private GgufFile Source()
    {
        ModelSynthesizer.Write(folder["source.gguf"], new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.F32, Layers: 1));
        return GgufFile.Open(folder["source.gguf"]);
    }

    [Theory]
    [InlineData("Q4_0")]
    [InlineData("Q4_1")]
    [InlineData("Q5_0")]
    [InlineData("Q5_1")]
    [InlineData("Q8_0")]
    [InlineData("BF16")]
    [InlineData("Q2_K")]
    [InlineData("Q3_K_S")]
    [InlineData("Q3_K_M")]
    [InlineData("Q4_K_M")]
    [InlineData("Q5_K_M")]
    [InlineData("Q6_K")]
    [InlineData("IQ4_XS")]
    [InlineData("IQ4_NL")]
    [InlineData("IQ3_S")]
    [InlineData("TQ1_0")]
    [InlineData("TQ2_0")]
    public void Write_Mix_GivesTheReferenceFilesTensorData(string name) => AssertReferenceBytes(name, importance: null);

    /// <summary>These reference files were made with an importance matrix of ones.</summary>
    [Theory]
    [InlineData("IQ3_XXS")]
    [InlineData("IQ2_M")]
    [InlineData("IQ2_S")]
    [InlineData("IQ2_XS")]
    public void Write_MixWithImportance_GivesTheReferenceFilesTensorData(string name) => AssertReferenceBytes(name, FlatImportance());

    [Theory]
    [InlineData("IQ2_XXS", GgmlType.IQ2_XXS)]
    [InlineData("IQ1_S", GgmlType.IQ1_S)]
    [InlineData("IQ1_M", GgmlType.IQ1_M)]
    public void Write_NarrowestMixes_AreAsAccurateAsTheReference(string name, GgmlType type)
    {
        using GgufFile source = GgufFile.Open(Repository.Shared("models/quant/q-f32.gguf"));
        using GgufFile reference = GgufFile.Open(Repository.Shared($"models/quant/q-{name}.gguf"));
        ModelQuantizer.Write(source, folder["out.gguf"], new ModelQuantizerOptions(QuantizationMixes.Parse(name), FlatImportance()));
        using GgufFile written = GgufFile.Open(folder["out.gguf"]);
        double ours = 0;
        double theirs = 0;
        foreach (TensorView tensor in reference.Tensors.Where(tensor => tensor.Type == type))
        {
            Assert.True(source.TryGet(tensor.Name, out TensorView original));
            Assert.True(written.TryGet(tensor.Name, out TensorView found));
            float[] values = Values(original);
            ours += SquaredError(values, Values(found));
            theirs += SquaredError(values, Values(tensor));
        }

        Assert.True(theirs > 0 && ours <= 1.001 * theirs, $"{ours / theirs}");
    }

    private static ImportanceMatrix FlatImportance()
    {
        using GgufFile source = GgufFile.Open(Repository.Shared("models/quant/q-f32.gguf"));
        return new ImportanceMatrix(source.Tensors.ToDictionary(tensor => tensor.Name, tensor => Enumerable.Repeat(1f, (int)tensor.Columns).ToArray()));
    }

    private static float[] Values(TensorView tensor)
    {
        var values = new float[tensor.Rows * tensor.Columns];
        Dequantizer.ToF32(tensor.Type, tensor.RowBytes(0, (int)tensor.Rows), values);
        return values;
    }

    private static double SquaredError(float[] expected, float[] found) => expected.Zip(found, (e, f) => Math.Pow(e - f, 2)).Sum();

    private void AssertReferenceBytes(string name, ImportanceMatrix? importance)
    {
        using GgufFile source = GgufFile.Open(Repository.Shared("models/quant/q-f32.gguf"));
        using GgufFile reference = GgufFile.Open(Repository.Shared($"models/quant/q-{name}.gguf"));

        ModelQuantizer.Write(source, folder["out.gguf"], new ModelQuantizerOptions(QuantizationMixes.Parse(name), importance));

        using GgufFile written = GgufFile.Open(folder["out.gguf"]);
        Assert.Equal(reference.Metadata.GetInt32("general.file_type"), written.Metadata.GetInt32("general.file_type"));
        Assert.Equal(reference.Tensors.Count, written.Tensors.Count);
        foreach (TensorView tensor in reference.Tensors)
        {
            Assert.True(written.TryGet(tensor.Name, out TensorView found));
            Assert.Equal(tensor.Type, found.Type);
            Assert.True(tensor.RowBytes(0, (int)tensor.Rows).SequenceEqual(found.RowBytes(0, (int)found.Rows)), tensor.Name);
        }
    }

    [Fact]
    public void Write_AnyThreadCount_GivesTheSameBytes()
    {
        using GgufFile source = Source();
        ModelQuantizer.Write(source, folder["a"], new ModelQuantizerOptions(QuantizationMix.Q4_K_M, Threads: 1));
        ModelQuantizer.Write(source, folder["b"], new ModelQuantizerOptions(QuantizationMix.Q4_K_M, Threads: 3));
        Assert.Equal(File.ReadAllBytes(folder["a"]), File.ReadAllBytes(folder["b"]));
    }

    [Fact]
    public void Write_Progress_EndsAtTheTotal()
    {
        using GgufFile source = Source();
        long most = 0;
        long all = 0;
        ModelQuantizer.Write(source, folder["a"], new ModelQuantizerOptions(QuantizationMix.Q8_0, Threads: 1, Progress: (done, total) => (most, all) = (Math.Max(most, done), total)));
        using GgufFile written = GgufFile.Open(folder["a"]);
        Assert.Equal((written.Tensors.Sum(tensor => tensor.ByteLength), all), (all, most));
    }

    [Fact]
    public void Write_QuantisedSource_IsRefusedUnlessAskedForAndLeavesNoFile()
    {
        using GgufFile source = Source();
        ModelQuantizer.Write(source, folder["q8"], new ModelQuantizerOptions(QuantizationMix.Q8_0));
        using GgufFile quantised = GgufFile.Open(folder["q8"]);
        Assert.Contains("Q8_0 already", Assert.Throws<NotSupportedException>(() => ModelQuantizer.Write(quantised, folder["q4"], new ModelQuantizerOptions(QuantizationMix.Q4_0))).Message);
        Assert.False(File.Exists(folder["q4"]));
        ModelQuantizer.Write(quantised, folder["q4"], new ModelQuantizerOptions(QuantizationMix.Q4_0, AllowRequantize: true));
        Assert.Throws<ArgumentException>(() => ModelQuantizer.Write(quantised, folder["q8"], new ModelQuantizerOptions(QuantizationMix.Q8_0)));
    }

    [Fact]
    public void Write_TwoBitCodebooksWithoutImportance_AreRefusedByTensor()
    {
        using GgufFile source = Source();
        Assert.Contains("importance matrix", Assert.Throws<NotSupportedException>(() => ModelQuantizer.Write(source, folder["x"], new ModelQuantizerOptions(QuantizationMix.IQ2_XXS))).Message);
    }

    [Fact]
    public void ImportanceMatrix_BothForms_GiveMeanSquares()
    {
        byte[] list = new GgufBytes().U32(1).U32(1).Raw("w"u8).U32(2).U32(3).Raw(MemoryMarshal.AsBytes([2f, 4f, 6f])).ToArray();
        byte[] gguf = GgufWriter.ToBytes(
            new GgufMetadataBuilder().Set("general.type", "imatrix").Build(),
            [
                (new GgufTensorInfo("w.in_sum2", GgmlType.F32, [3, 1]), MemoryMarshal.AsBytes([2f, 4f, 6f]).ToArray()),
                (new GgufTensorInfo("w.counts", GgmlType.F32, [1, 1]), MemoryMarshal.AsBytes([2f]).ToArray()),
            ]);
        var tensor = new TensorView("w", GgmlType.F32, 3, 5, [3, 5], 0, 60);
        foreach (byte[] file in (byte[][])[list, gguf])
        {
            ImportanceMatrix matrix = ImportanceMatrix.Open(folder.Write("imatrix", file));
            Assert.Equal([1f, 2f, 3f], matrix.ForRow(tensor, 4).ToArray());
            Assert.True(matrix.ForRow(tensor with { Name = "v" }, 0).IsEmpty);
            Assert.Throws<InvalidDataException>(() => matrix.ForRow(tensor with { Columns = 4 }, 0).Length);
        }
    }

    [Fact]
    public void ImportanceMatrix_Damaged_IsRefused()
    {
        byte[] list = new GgufBytes().U32(1).U32(1).Raw("w"u8).U32(2).U32(3).Raw(MemoryMarshal.AsBytes([2f, 4f, 6f])).ToArray();
        for (int length = 0; length < list.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => ImportanceMatrix.Open(folder.Write("imatrix", list[..length])));
        }

        foreach (int at in (int[])[0, 4, 13])
        {
            byte[] huge = [.. list];
            huge.AsSpan(at, 4).Fill(0x7F);
            Assert.Throws<InvalidDataException>(() => ImportanceMatrix.Open(folder.Write("imatrix", huge)));
        }
    }
}
