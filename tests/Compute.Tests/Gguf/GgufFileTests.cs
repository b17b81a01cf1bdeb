using System.Diagnostics;
using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Gguf;

public sealed class GgufFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private static byte[] Floats(params float[] values) => MemoryMarshal.AsBytes(values.AsSpan()).ToArray();

    private static byte[] Part(int number, int count, string tensor, float value, int tensorsInAll = 2) => GgufWriter.ToBytes(
        new GgufMetadataBuilder().Set("general.name", $"part {number}").Set("split.no", (ushort)number).Set("split.count", (ushort)count).Set("split.tensors.count", tensorsInAll).Build(),
        [(new GgufTensorInfo(tensor, GgmlType.F32, [1]), Floats(value))]);

    [Fact]
    public void Open_WrittenFile_GivesTensorsRowByRow()
    {
        GgufMetadata metadata = new GgufMetadataBuilder().Set("general.architecture", "llama").Build();
        GgufTensorInfo[] infos = [new("a", GgmlType.F32, [2, 3]), new("b", GgmlType.Q4_0, [32, 2, 2])];
        using (GgufWriter writer = GgufWriter.Create(folder["m.gguf"], metadata, infos))
        {
            writer.Write(0, 8, Floats(3, 4, 5, 6));
            writer.Write(0, 0, Floats(1, 2));
            Assert.Throws<ArgumentOutOfRangeException>(() => writer.Write(0, 20, new byte[8]));
        }

        using GgufFile file = GgufFile.Open(folder["m.gguf"]);

        Assert.Equal(new FileInfo(folder["m.gguf"]).Length, file.FileLength);
        Assert.True(file.TryGet("a", out TensorView a));
        Assert.Equal(Floats(3, 4, 5, 6), a.RowBytes(1, 2).ToArray());
        Assert.Equal(0, a.Address % 32);
        Assert.Throws<ArgumentOutOfRangeException>(() => a.RowBytes(2, 2).Length);
        TensorView b = file.Tensors[1];
        Assert.Equal((32L, 4L, 72L), (b.Columns, b.Rows, b.ByteLength));
        Assert.Equal(new byte[72], b.RowBytes(0, 4).ToArray());
        Assert.False(file.TryGet("c", out _));
    }

    [Fact]
    public void Open_SplitFile_GivesTheTensorsOfAllParts()
    {
        folder.Write("m-00002-of-00002.gguf", Part(1, 2, "b", 2));
        string first = folder.Write("m-00001-of-00002.gguf", Part(0, 2, "a", 1));

        using GgufFile file = GgufFile.Open(first);

        Assert.Equal(["a", "b"], file.Tensors.Select(t => t.Name));
        Assert.Equal("part 0", file.Metadata.GetString("general.name"));
        Assert.Equal(Floats(2), file.Tensors[1].RowBytes(0, 1).ToArray());
    }

    [Fact]
    public void Open_SplitFileWronglyPutTogether_SaysWhatIsWrong()
    {
        string first = folder.Write("m-00001-of-00002.gguf", Part(0, 2, "a", 1));
        Assert.Throws<FileNotFoundException>(() => GgufFile.Open(first));

        string second = folder.Write("m-00002-of-00002.gguf", Part(1, 2, "b", 2));
        Assert.Contains("open the first, m-00001-of-00002.gguf", Rejects(second));

        folder.Write("m-00002-of-00002.gguf", Part(0, 2, "b", 2));
        Assert.Contains("expected part 2", Rejects(first));

        folder.Write("m-00002-of-00002.gguf", Part(1, 2, "a", 2));
        Assert.Contains("two parts", Rejects(first));

        folder.Write("m-00002-of-00002.gguf", Part(1, 2, "b", 2));
        folder.Write("m-00001-of-00002.gguf", Part(0, 2, "a", 1, tensorsInAll: 3));
        Assert.Contains("2 tensors, expected 3", Rejects(first));

        Assert.Contains("name must end in", Rejects(folder.Write("m.gguf", Part(0, 2, "a", 1))));
        Assert.Contains("split.count", Rejects(folder.Write("n.gguf", Part(0, 60_000, "a", 1))));
    }

    [Trait("Attack", "D3")]
    [Fact]
    public void Open_MissingOrEmptyFileOrFolder_IsClear()
    {
        Assert.Throws<FileNotFoundException>(() => GgufFile.Open(folder["none.gguf"]));
        Assert.Contains("empty", Rejects(folder.Write("empty.gguf", [])));
        if (OperatingSystem.IsLinux())
        {
            Assert.Contains("not a regular file", Assert.Throws<IOException>(() => GgufFile.Open(folder["."])).Message);
            Assert.Contains("not a regular file", Assert.Throws<IOException>(() => GgufFile.Open("/dev/zero")).Message);
        }
    }

    [Trait("Attack", "D3")]
    [Fact]
    public void Open_NamedPipe_IsRefusedWithoutWaiting()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "named pipes of this kind are Unix");
        using Process? mkfifo = Process.Start("mkfifo", folder["pipe"]);
        mkfifo!.WaitForExit();
        Assert.Contains("not a regular file", Assert.Throws<IOException>(() => GgufFile.Open(folder["pipe"])).Message);
    }

    [Fact]
    public void Open_ReferenceModels_AllLoad()
    {
        string[] files = Directory.GetFiles(Repository.Shared("models"), "*.gguf", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (string path in files)
        {
            using GgufFile file = GgufFile.Open(path);
            Assert.NotEmpty(file.Tensors);
            Assert.Equal(file.Metadata.GetInt32($"{file.Metadata.GetString("general.architecture")}.embedding_length"), file.Tensors.First(t => t.Name == "token_embd.weight").Columns);
            Assert.True(file.Metadata.FindStrings("tokenizer.ggml.tokens")!.Count > 0);
        }
    }

    [Fact]
    public void Open_ReferenceVocabularies_LoadWithoutTensors()
    {
        foreach (string path in Directory.GetFiles(Repository.Shared("tokenizers"), "*.gguf"))
        {
            using GgufFile file = GgufFile.Open(path);
            Assert.Empty(file.Tensors);
            Assert.Equal(file.Metadata.FindCount("tokenizer.ggml.tokens"), file.Metadata.FindStrings("tokenizer.ggml.tokens")!.Count);
        }
    }

    private static string Rejects(string path) => Assert.Throws<InvalidDataException>(() => GgufFile.Open(path)).Message;
}
