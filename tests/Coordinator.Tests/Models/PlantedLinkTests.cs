using System.Security.Cryptography;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Models;

/// <summary>Links and pipes that somebody planted in a model store: none is followed, nothing outside is opened, and nobody waits.</summary>
public sealed class PlantedLinkTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-planted-").FullName;
    private readonly OutsideFolder _outside;
    private readonly List<string> _notes = [];

    public PlantedLinkTests() => _outside = new OutsideFolder(Path.Combine(_folder, "outside"));

    private string Root => Path.Combine(_folder, "store");

    public static TheoryData<string, Planted> Places => new(
        from place in (string[])["names/m.json", "blobs/MANIFEST", "blobs/HEADER", "blobs/VOCABULARY", "files/MANIFEST-0.gguf"] from what in Enum.GetValues<Planted>() select (place, what));

    public static TheoryData<string, Planted> PlacesToWrite => new(
        from place in (string[])["names/m.json.partial", "blobs/MANIFEST", "blobs/MANIFEST.partial", "blobs/HEADER.partial", "files/MANIFEST-0.gguf", "files/MANIFEST-0.gguf.partial", "imports/RECORD", "imports/RECORD.partial"]
        from what in Enum.GetValues<Planted>()
        select (place, what));

    public void Dispose()
    {
        _outside.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Trait("Attack", "D1")]
    [Theory]
    [MemberData(nameof(Places))]
    public async Task File_PlantedForOneOfAModel_IsRefusedInASentenceAndNotFollowed(string place, Planted what)
    {
        (CatalogueEntry entry, StoredModel model) = await AddAsync();
        string path = PathOf(place, model);
        _outside.Plant(what, path);
        _outside.Watch();
        string sentence = $"'{path}' is {(what == Planted.Pipe ? "a pipe" : "a symbolic link")}, expected a regular file";

        using ModelStore store = Open();
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => store.ImportAsync("store:m", null, CancellationToken.None).WaitAsync(s_patience));
        string? damage = await Within(() => place.StartsWith("names", StringComparison.Ordinal) ? Assert.Throws<UnexpectedFileException>(() => store.Verify("m", CancellationToken.None)).Message : store.Verify("m", CancellationToken.None));

        Assert.True(refusal is InvalidDataException or UnexpectedFileException, refusal.ToString());
        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
        Assert.Equal(sentence, damage);
        Assert.Equal(place.StartsWith("names", StringComparison.Ordinal) ? [] : ["m"], (await Within(store.List)).Select(e => e.Name));
        Assert.Equal(ModelTrust.Untrusted, await Within(() => store.TrustOf(entry)));
        // What looks like a folder is in no list.
        Assert.True(_notes.Contains(sentence) || (place.StartsWith("names", StringComparison.Ordinal) && what == Planted.LinkToFolder));
        Assert.Empty(_outside.Touched());
    }

    /// <summary>The store has told others of these blobs already; then the files are exchanged under it.</summary>
    [Trait("Attack", "D1")]
    [Theory]
    [InlineData(Planted.LinkToFile)]
    [InlineData(Planted.LinkToPipe)]
    [InlineData(Planted.LinkToFolder)]
    [InlineData(Planted.LinkToNothing)]
    [InlineData(Planted.Pipe)]
    public async Task Blob_ExchangedAfterItWasOffered_IsNotHeldAnyMore(Planted what)
    {
        await AddAsync();
        using ModelStore store = Open();
        StoredModel model = await store.ImportAsync("store:m", null, CancellationToken.None);
        BlobDigest[] blobs = [model.Digest, BlobDigest.Parse(model.Manifest.Header.Digest), .. model.Manifest.Tensors.Select(tensor => BlobDigest.Parse(tensor.Digest))];
        Assert.All(blobs, digest => store.TryOpen(digest)!.Dispose());
        _outside.Plant(what, PathOf("blobs/MANIFEST", model));
        _outside.Plant(what, PathOf("blobs/HEADER", model));
        _outside.Plant(what, PathOf("files/MANIFEST-0.gguf", model));
        _outside.Watch();

        await Within(() => blobs.Select(digest => { Assert.Null(store.TryOpen(digest)); return 0; }).Sum());

        Assert.Equal(blobs.Length, _notes.Count);
        Assert.Empty(_outside.Touched());
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData(Planted.LinkToFile)]
    [InlineData(Planted.LinkToPipe)]
    [InlineData(Planted.LinkToFolder)]
    [InlineData(Planted.LinkToNothing)]
    [InlineData(Planted.Pipe)]
    public async Task Signature_Planted_CountsForNothing(Planted what)
    {
        (CatalogueEntry entry, StoredModel model) = await AddAsync();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        string file = Path.Combine(_folder, "key.pub");
        await File.WriteAllTextAsync(file, key.ExportSubjectPublicKeyInfoPem());
        var options = new ModelImportOptions { SigningKeys = [file] };
        using ModelStore store = ModelStore.Open(Root, options, note: _notes.Add);
        store.Sign("m", key);
        Assert.Equal(ModelTrust.Trusted, store.TrustOf(entry));
        _outside.Plant(what, Directory.GetFiles(Path.Combine(Root, "signatures")).Single());
        _outside.Watch();

        Assert.Equal(ModelTrust.Untrusted, await Within(() => store.TrustOf(entry)));
        Assert.Empty(await Within(() => store.SignersOf(entry)));
        Assert.Equal(model.Digest, (await store.ImportAsync("store:m", null, CancellationToken.None).WaitAsync(s_patience)).Digest);
        Assert.Empty(_outside.Touched());
    }

    /// <summary>Names that a store is about to write, known to whoever knows the model: they are replaced, and what a link leads to is neither written nor made.</summary>
    [Trait("Attack", "D1")]
    [Theory]
    [MemberData(nameof(PlacesToWrite))]
    public async Task Import_OntoWhatWasPlanted_WritesNothingOutside(string place, Planted what)
    {
        (_, StoredModel model) = await AddAsync();
        string source = Path.Combine(_folder, "model.gguf");
        Directory.Delete(Root, recursive: true);
        using ModelStore store = Open(), linking = ModelStore.Open(Root, new ModelImportOptions { CopyFiles = false }, note: _notes.Add);
        string record = Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(source))) + ".json";
        foreach (ModelStore importing in (ModelStore[])[store, linking])
        {
            string path = PathOf(place, model).Replace("RECORD", record, StringComparison.Ordinal);
            File.Delete(path);
            _outside.Plant(what, path);
            _outside.Watch();
            if (place.StartsWith("names", StringComparison.Ordinal) && importing == store)
            {
                await importing.AddAsync("m", source, source, null, false, null, CancellationToken.None).WaitAsync(s_patience);
            }

            Assert.Equal(model.Digest, (await importing.ImportAsync(source, null, CancellationToken.None).WaitAsync(s_patience)).Digest);

            Assert.Empty(_outside.Touched());
            Assert.Equal(!path.EndsWith(".partial", StringComparison.Ordinal), new StoreFolder(Path.GetDirectoryName(path)!).Holds(Path.GetFileName(path)));
            Assert.All(model.Manifest.Tensors, tensor => importing.TryOpen(BlobDigest.Parse(tensor.Digest))!.Dispose());
        }
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("files")]
    [InlineData("blobs")]
    [InlineData("names")]
    [InlineData("imports")]
    [InlineData("signatures")]
    public async Task Folder_OfTheStoreIsALink_NothingIsReadOrWrittenThere(string folder)
    {
        (_, StoredModel model) = await AddAsync();
        string source = Path.Combine(_folder, "model.gguf"), path = Path.Combine(Root, folder);
        using ModelStore running = Open();
        await running.ImportAsync("store:m", null, CancellationToken.None);
        _outside.PlantFolder(path);
        _outside.Watch();
        string sentence = $"'{path}' is a symbolic link, expected a folder";

        Assert.Equal(sentence, Assert.Throws<UnexpectedFileException>(Open).Message);
        Exception?[] refusals =
        [
            await Record.ExceptionAsync(() => running.AddAsync("other", source, source, null, false, null, CancellationToken.None)),
            await Record.ExceptionAsync(() => running.ImportAsync(source, null, CancellationToken.None)),
            await Record.ExceptionAsync(() => running.ImportAsync("store:m", null, CancellationToken.None)),
            Record.Exception(() => running.CreateFolder()),
            Record.Exception(() => running.Remove("m")),
        ];
        running.TryOpen(model.Digest)?.Dispose();
        running.TryOpen(BlobDigest.Parse(model.Manifest.Tensors[0].Digest))?.Dispose();

        // Each folder is needed by some of these.
        Assert.InRange(refusals.OfType<Exception>().Count(), 1, refusals.Length);
        Assert.All(refusals.OfType<Exception>(), refusal => Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal));
        Assert.Empty(_outside.Touched());
    }

    /// <summary>Where the store lies, and where models come from, is for the operator to say: links there are followed.</summary>
    [Fact]
    public async Task RootAndSource_AreLinks_WorkAsEver()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "elsewhere", "store"));
        Directory.CreateSymbolicLink(Root, Path.Combine(_folder, "elsewhere", "store"));
        string link = Path.Combine(_folder, "linked.gguf");
        File.CreateSymbolicLink(link, StoredModels.Write(_folder));
        foreach (bool copies in (bool[])[true, false])
        {
            using ModelStore store = ModelStore.Open(Root, new ModelImportOptions { CopyFiles = copies });
            StoredModel model = await store.ImportAsync(link, null, CancellationToken.None);
            await store.AddAsync($"m{copies}", link, link, null, false, null, CancellationToken.None);

            Assert.Null(store.Verify($"m{copies}", CancellationToken.None));
            store.TryOpen(model.Digest)!.Dispose();
            Assert.Null(new FileInfo(Directory.GetFiles(Path.Combine(_folder, "elsewhere", "store", "files")).Single()).LinkTarget);
            Array.ForEach(Directory.GetFiles(Path.Combine(Root, "imports")), File.Delete);
        }
    }

    private static Task<T> Within<T>(Func<T> action) => Task.Run(action).WaitAsync(s_patience);

    private ModelStore Open() => ModelStore.Open(Root, note: _notes.Add);

    private string PathOf(string place, StoredModel model) => Path.Combine(Root, place.Replace("MANIFEST", model.Digest.ToString(), StringComparison.Ordinal)
        .Replace("HEADER", model.Manifest.Header.Digest, StringComparison.Ordinal).Replace("VOCABULARY", model.Manifest.Vocabulary.Digest, StringComparison.Ordinal));

    /// <summary>A store with the model m, closed again.</summary>
    private async Task<(CatalogueEntry Entry, StoredModel Model)> AddAsync()
    {
        using ModelStore store = ModelStore.Open(Root);
        string source = StoredModels.Write(_folder);
        CatalogueEntry entry = await store.AddAsync("m", source, source, null, false, null, CancellationToken.None);
        return (entry, await store.ImportAsync("store:m", null, CancellationToken.None));
    }
}
