using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Tests.Models;

public sealed class ModelStoreTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-store-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Import_EveryBlob_HasItsDigestAndLength()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = WriteModel();
        StoredModel model = await store.ImportAsync(source, null, CancellationToken.None);

        Assert.Equal(BlobDigest.Of(model.Manifest.ToBytes()), model.Digest);
        Assert.Equal(BlobDigest.Of(Read(store, model.Digest)), model.Digest);
        using GgufFile file = GgufFile.Open(source);
        Assert.Equal(file.Tensors.Select(tensor => tensor.Name), model.Manifest.Tensors.Select(tensor => tensor.Name));
        foreach (ManifestTensor tensor in model.Manifest.Tensors)
        {
            Assert.Equal(BlobDigest.Parse(tensor.Digest), BlobDigest.Of(Read(store, BlobDigest.Parse(tensor.Digest))));
        }

        GgufMetadata header = GgufReader.ReadMetadata(Read(store, BlobDigest.Parse(model.Manifest.Header.Digest)));
        Assert.Equal("llama", header.GetString("general.architecture"));
    }

    [Fact]
    public async Task Import_SameFileAgain_IsNotHashedAgain()
    {
        string source = WriteModel();
        string root = Path.Combine(_folder, "store");
        BlobDigest first;
        using (ModelStore store = ModelStore.Open(root))
        {
            first = (await store.ImportAsync(source, null, CancellationToken.None)).Digest;
        }

        using ModelStore again = ModelStore.Open(root);
        int calls = 0;
        StoredModel model = await again.ImportAsync(source, (_, _) => Interlocked.Increment(ref calls), CancellationToken.None);

        Assert.Equal(first, model.Digest);
        Assert.Equal(1, calls);
        Assert.NotEmpty(Read(again, BlobDigest.Parse(model.Manifest.Tensors[0].Digest)));
    }

    [Trait("Attack", "A13")]
    [Fact]
    public async Task Source_Deleted_BlobsAreStillServed()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = WriteModel();
        StoredModel model = await store.ImportAsync(source, null, CancellationToken.None);
        File.Delete(source);

        Assert.NotEmpty(Read(store, BlobDigest.Parse(model.Manifest.Tensors[0].Digest)));
    }

    [Trait("Attack", "A13")]
    [Fact]
    public async Task Source_TruncatedInPlaceWhereTheStoreLinks_IsAReadErrorAndNoCrash()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"), new ModelImportOptions { CopyFiles = false });
        string source = WriteModel();
        StoredModel model = await store.ImportAsync(source, null, CancellationToken.None);
        using (FileStream file = File.Open(source, FileMode.Open))
        {
            file.SetLength(16);
        }

        Assert.Throws<EndOfStreamException>(() => Read(store, BlobDigest.Parse(model.Manifest.Tensors[^1].Digest)));
    }

    [Trait("Attack", "A13")]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Source_TruncatedOrOverwritten_TheStoreHasItsOwnBytes(bool truncated)
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = WriteModel();
        StoredModel model = await store.ImportAsync(source, null, CancellationToken.None);
        using (FileStream file = File.Open(source, FileMode.Open))
        {
            file.SetLength(truncated ? 16 : file.Length);
            file.Write(new byte[16]);
        }

        Assert.All(model.Manifest.Tensors, tensor => Assert.Equal(BlobDigest.Parse(tensor.Digest), BlobDigest.Of(Read(store, BlobDigest.Parse(tensor.Digest)))));
    }

    /// <summary>Wherever reading stops short, the import is refused in a sentence and leaves neither file nor descriptor behind.</summary>
    [Trait("Attack", "A9")]
    [Fact]
    public async Task Source_EndsAnywhere_LeavesNoFileAndNoDescriptor()
    {
        string source = WriteModel();
        byte[] whole = await File.ReadAllBytesAsync(source);
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        const int Padding = 24;
        for (int length = 0; length < whole.Length - Padding; length += 7)
        {
            await File.WriteAllBytesAsync(source, whole[..length]);
            await Assert.ThrowsAsync<InvalidDataException>(() => store.ImportAsync(source, null, CancellationToken.None));
        }

        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "store"), "*", SearchOption.AllDirectories));
        // Other tests open files of their own meanwhile.
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries("/proc/self/fd").Select(descriptor => new FileInfo(descriptor).LinkTarget), path => path?.StartsWith(_folder, StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task Source_ChangedSinceImport_IsImportedAnew()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = WriteModel();
        BlobDigest first = (await store.ImportAsync(source, null, CancellationToken.None)).Digest;
        File.Delete(source);
        WriteModel(fill: 7);
        File.SetLastWriteTimeUtc(source, DateTime.UtcNow.AddSeconds(5));

        Assert.NotEqual(first, (await store.ImportAsync(source, null, CancellationToken.None)).Digest);
    }

    [Fact]
    public async Task Import_NotAModel_SaysSo()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = Path.Combine(_folder, "text.gguf");
        await File.WriteAllTextAsync(source, "hello, this is no model at all");

        await Assert.ThrowsAsync<InvalidDataException>(() => store.ImportAsync(source, null, CancellationToken.None));
        await Assert.ThrowsAsync<FileNotFoundException>(() => store.ImportAsync(Path.Combine(_folder, "none.gguf"), null, CancellationToken.None));
    }

    [Fact]
    public void Blob_NotHeld_IsNull()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));

        Assert.Null(store.TryOpen(BlobDigest.Of([1, 2, 3])));
    }

    private static byte[] Read(ModelStore store, BlobDigest digest)
    {
        using BlobReader blob = store.TryOpen(digest)!;
        byte[] content = new byte[blob.Length];
        blob.ReadExactly(0, content);
        return content;
    }

    private string WriteModel(byte fill = 1)
    {
        string path = Path.Combine(_folder, "model.gguf");
        GgufMetadata metadata = new GgufMetadataBuilder().Set("general.architecture", "llama").Set("tokenizer.ggml.tokens", ["a", "b"]).Build();
        (GgufTensorInfo, byte[])[] tensors =
        [
            (new GgufTensorInfo("token_embd.weight", GgmlType.F32, [32, 2]), Filled(256, fill)),
            (new GgufTensorInfo("output.weight", GgmlType.Q8_0, [32, 4]), Filled(136, (byte)(fill + 1))),
        ];
        File.WriteAllBytes(path, GgufWriter.ToBytes(metadata, tensors));
        return path;
    }

    private static byte[] Filled(int length, byte value)
    {
        byte[] bytes = new byte[length];
        Array.Fill(bytes, value);
        return bytes;
    }
}
