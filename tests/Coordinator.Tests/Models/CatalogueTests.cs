using Lamina.Cluster.Models;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Models;

public sealed class CatalogueTests : IDisposable
{
    public static TheoryData<string> Traversals =>
    [
        "..", "../x", "../../etc/passwd", "/etc/passwd", "a/../b", "a\\..\\b", "%2e%2e%2fx", "a\0b", "", ".", ".hidden", "\u2024\u2024/x", "a b", "a\n", new string('a', 129), "sha256:" + new string('a', 64) + "/..",
        "..\\x", "../../x", "./../x", "..//x", "%2e%2e/x", "..%2fx", "..%5cx", "%252e%252e%252fx", "%c0%ae%c0%ae%c0%afx", "x%00", "x\0.json", "../x\0", "..;/x", "~/x", "file:///x", "\uFF0E\uFF0E\uFF0Fx", "\u2024\u2024\u2215x", "..\u2215x", "..\uFF0Fx", "..\u2044x", "\u2025/x",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-catalogue-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Added_Model_IsListedVerifiedOpenedAndRemoved()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = StoredModels.Write(_folder);
        CatalogueEntry entry = await store.AddAsync("first", source, source, null, false, null, CancellationToken.None);
        await store.AddAsync("second", StoredModels.Write(_folder, fill: 9, "other.gguf"), "elsewhere", null, false, null, CancellationToken.None);
        File.Delete(source);

        Assert.Equal(["first", "second"], store.List().Select(e => e.Name));
        Assert.Null(store.Verify("first", CancellationToken.None));
        Assert.Equal(entry.Digest, (await store.ImportAsync("store:first", null, CancellationToken.None)).Digest.ToString());
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.AddAsync("first", StoredModels.Write(_folder), "again", null, false, null, CancellationToken.None));

        store.Remove("first");
        Assert.Equal(["second"], store.List().Select(e => e.Name));
        Assert.Single(Directory.EnumerateFiles(Path.Combine(_folder, "store", "files")));
        Assert.Null(store.Verify("second", CancellationToken.None));
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.ImportAsync("store:first", null, CancellationToken.None));
    }

    [Fact]
    public async Task Removed_ModelThatAnotherNameHas_KeepsItsBytes()
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = StoredModels.Write(_folder);
        await store.AddAsync("first", source, source, null, false, null, CancellationToken.None);
        await store.AddAsync("second", source, source, null, false, null, CancellationToken.None);
        store.Remove("first");
        Assert.Null(store.Verify("second", CancellationToken.None));
    }

    [Trait("Attack", "H1")]
    [Theory]
    [InlineData(-40, "output.weight")]
    [InlineData(-300, "token_embd.weight")]
    [InlineData(60, "")]
    public async Task Verify_ByteAlteredInTheStore_NamesWhatIsDamaged(int at, string expected)
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        await store.AddAsync("m", StoredModels.Write(_folder), "here", null, false, null, CancellationToken.None);
        string kept = Directory.EnumerateFiles(Path.Combine(_folder, "store", "files")).Single();
        Assert.Equal(UnixFileMode.UserRead, File.GetUnixFileMode(kept));
        File.SetUnixFileMode(kept, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        byte[] bytes = await File.ReadAllBytesAsync(kept);
        bytes[at < 0 ? bytes.Length + at : at] ^= 1;
        await File.WriteAllBytesAsync(kept, bytes);

        string? damage = store.Verify("m", CancellationToken.None);
        Assert.NotNull(damage);
        Assert.Contains(expected, damage, StringComparison.Ordinal);
    }

    [Trait("Attack", "D1")]
    [Theory]
    [MemberData(nameof(Traversals), DisableDiscoveryEnumeration = true)]
    public async Task Name_ThatCouldBeAPath_IsRefusedAndNothingIsOpened(string name)
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        string source = StoredModels.Write(_folder);
        string[] decoys = [Path.Combine(_folder, "store", "x.json"), Path.Combine(_folder, "store", "x"), Path.Combine(_folder, "x.json"), Path.Combine(_folder, "x")];
        Array.ForEach(decoys, decoy => File.WriteAllText(decoy, "{}"));
        using OpenWatch watch = new([.. decoys, .. Directory.GetDirectories(Path.Combine(_folder, "store"))]);
        await Assert.ThrowsAsync<ArgumentException>(() => store.AddAsync(name, source, source, null, false, null, CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => store.ImportAsync("store:" + name, null, CancellationToken.None));
        Assert.Throws<ArgumentException>(() => store.Remove(name));
        Assert.False(BlobDigest.TryParse(name, out _));
        Assert.Empty(watch.Take());
        Assert.All(decoys, decoy => Assert.Equal("{}", File.ReadAllText(decoy)));
        Assert.Equal(decoys.Length, watch.Take().Count(seen => seen.EndsWith(" 20", StringComparison.Ordinal)));
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("sha256-../../../../etc/passwd")]
    [InlineData("sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("sha256-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/.")]
    public void Digest_NotExactlyItsForm_IsRefused(string text) => Assert.False(BlobDigest.TryParse(text, out _));

    /// <summary>An entry planted in the store cannot lead out of it: its digest and its count of parts are checked before they become paths.</summary>
    [Trait("Attack", "A14")]
    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("{\"name\":\"m\",\"digest\":\"../../x\",\"parts\":1,\"bytes\":1,\"source\":\"\",\"sha256\":null,\"addedUtc\":\"2026-01-01T00:00:00Z\"}")]
    [InlineData("{\"name\":\"other\",\"digest\":\"sha256-0000000000000000000000000000000000000000000000000000000000000000\",\"parts\":1,\"bytes\":1,\"source\":\"\",\"sha256\":null,\"addedUtc\":\"2026-01-01T00:00:00Z\"}")]
    [InlineData("{\"name\":\"m\",\"digest\":\"sha256-0000000000000000000000000000000000000000000000000000000000000000\",\"parts\":2000000000,\"bytes\":1,\"source\":\"\",\"sha256\":null,\"addedUtc\":\"2026-01-01T00:00:00Z\"}")]
    [InlineData("[]")]
    [InlineData("")]
    public async Task Entry_Planted_IsNoModel(string json)
    {
        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "store", "names", "m.json"), json);
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.ImportAsync("store:m", null, CancellationToken.None));
        Assert.Throws<InvalidOperationException>(() => store.Verify("m", CancellationToken.None));
    }

    /// <summary>Import records are hints: one that was altered is found out, and the source is read again.</summary>
    [Trait("Attack", "A14")]
    [Fact]
    public async Task ImportRecord_AnyByteAltered_NeverChangesTheModel()
    {
        string root = Path.Combine(_folder, "store"), source = StoredModels.Write(_folder);
        BlobDigest digest;
        using (ModelStore store = ModelStore.Open(root))
        {
            digest = (await store.ImportAsync(source, null, CancellationToken.None)).Digest;
        }

        string record = Directory.EnumerateFiles(Path.Combine(root, "imports")).Single();
        byte[] honest = await File.ReadAllBytesAsync(record);
        for (int i = 0; i < honest.Length; i += 3)
        {
            byte[] altered = [.. honest];
            altered[i] ^= 0x04;
            await File.WriteAllBytesAsync(record, altered);
            using ModelStore store = ModelStore.Open(root);
            Assert.Equal(digest, (await store.ImportAsync(source, null, CancellationToken.None)).Digest);
        }
    }
}
