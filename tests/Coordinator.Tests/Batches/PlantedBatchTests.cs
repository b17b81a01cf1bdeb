using Lamina.Cluster.Models;
using Lamina.Coordinator.Batches;
using Lamina.Coordinator.Batches.Files;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Batches;

/// <summary>Links and names that somebody planted among a tenant's files and batches: none leads out of its folder.</summary>
public sealed class PlantedBatchTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-planted-batches-").FullName;
    private readonly OutsideFolder _outside;

    public PlantedBatchTests() => _outside = new OutsideFolder(Path.Combine(_folder, "outside"));

    private StoreFolder Files => new StoreFolder(Path.Combine(_folder, "acme")).Within("files");

    public void Dispose()
    {
        _outside.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData(Planted.LinkToFile)]
    [InlineData(Planted.LinkToPipe)]
    [InlineData(Planted.LinkToFolder)]
    [InlineData(Planted.LinkToNothing)]
    [InlineData(Planted.Pipe)]
    public async Task FileOrDescription_Planted_IsNoFileAtTheNextStart(Planted what)
    {
        StoredFile first = await UploadAsync(), second = await UploadAsync(), third = await UploadAsync();
        _outside.Plant(what, Path.Combine(Files.FullPath, first.Id + ".jsonl"));
        _outside.Plant(what, Path.Combine(Files.FullPath, second.Id + ".json"));
        _outside.Watch();

        Assert.Equal([third.Id], FileStore.Open(Files, new BatchOptions(), TimeProvider.System).All.Select(file => file.Id));
        Assert.Empty(_outside.Touched());
    }

    /// <summary>Its content would be whatever that path means, and deleting it would delete that.</summary>
    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("../../victim")]
    [InlineData("../../outside/folder/inside")]
    [InlineData("file-000000000000000000000000/../../../victim")]
    public void Description_ThatNamesAPath_IsNoFile(string id)
    {
        Files.Create();
        File.WriteAllText(Path.Combine(_folder, "victim.jsonl"), "secret");
        const string Sound = "file-111111111111111111111111";
        Describe("file-000000000000000000000000", id);
        Describe(Sound, Sound);
        File.WriteAllText(Path.Combine(Files.FullPath, Sound + ".jsonl"), "secret");
        _outside.Watch();
        using OpenWatch watch = new(Path.Combine(_folder, "victim.jsonl"));

        FileStore store = FileStore.Open(Files, new BatchOptions(), TimeProvider.System);

        Assert.Equal([Sound], store.All.Select(file => file.Id));
        Assert.Empty(watch.Take());
        Assert.Empty(_outside.Touched());

        void Describe(string name, string id) => DurableFile.Write(Files, name + ".json", new StoredFile(id, "a", 6, 1, 99999999999, "batch", 1), BatchStateJson.Default.StoredFile);
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData(Planted.LinkToFile)]
    [InlineData(Planted.LinkToPipe)]
    [InlineData(Planted.LinkToFolder)]
    [InlineData(Planted.LinkToNothing)]
    [InlineData(Planted.Pipe)]
    public async Task Journal_OnWhatWasPlanted_IsRefusedAndNotWritten(Planted what)
    {
        StoreFolder runs = new StoreFolder(_folder).Within("runs");
        runs.Create();
        string path = Path.Combine(runs.FullPath, BatchJournal.OutputName);
        _outside.Plant(what, path);
        _outside.Watch();

        UnexpectedFileException refusal = await Assert.ThrowsAsync<UnexpectedFileException>(() => BatchJournal.OpenAsync(runs, CancellationToken.None));

        Assert.Equal($"'{path}' is {(what == Planted.Pipe ? "a pipe" : "a symbolic link")}, expected a regular file", refusal.Message);
        Assert.Empty(_outside.Touched());
    }

    /// <summary>A second name of a file elsewhere is no symbolic link, and writing on it would write there.</summary>
    [Trait("Attack", "D1")]
    [Fact]
    public async Task Journal_OnASecondNameOfAnotherFile_IsRefused()
    {
        StoreFolder runs = new StoreFolder(_folder).Within("runs");
        runs.Create();
        string path = Path.Combine(runs.FullPath, BatchJournal.OutputName);
        Assert.Equal(0, OutsideFolder.HardLink(Path.Combine(_folder, "outside", "folder", "inside.json"), path));
        _outside.Watch();

        UnexpectedFileException refusal = await Assert.ThrowsAsync<UnexpectedFileException>(() => BatchJournal.OpenAsync(runs, CancellationToken.None));

        Assert.Equal($"'{path}' is a file with 2 names, expected one that has no other", refusal.Message);
        Assert.Empty(_outside.Touched());
    }

    /// <summary>What an ended batch left would be deleted, in whatever folder its id leads to.</summary>
    [Trait("Attack", "D1")]
    [Fact]
    public async Task Record_ThatNamesAPath_IsNoBatch()
    {
        var bench = new BatchBench((_, _) => Task.FromResult((200, "")));
        await bench.CloseAsync();
        string victim = Directory.CreateDirectory(Path.Combine(bench.Root, "victim")).FullName;
        var record = new BatchRecord
        {
            Id = "../victim", Sequence = 1, CallerKey = "key", Endpoint = BatchBench.Endpoint, InputFileId = "file-000000000000000000000000", OutputName = BatchId.NewFile(), ErrorName = BatchId.NewFile(), CreatedAt = 1,
        };
        DurableFile.Write(new StoreFolder(bench.Root).Within("records"), "batch_000000000000000000000000.json", record, BatchStateJson.Default.BatchRecord);

        bench.Open();

        Assert.Empty(bench.Batches.All);
        await bench.CloseAsync();
        Assert.True(Directory.Exists(victim));
        bench.Open();
        await bench.DisposeAsync();
    }

    [Trait("Attack", "D1")]
    [Theory]
    [InlineData("")]
    [InlineData("files")]
    [InlineData("records")]
    [InlineData("runs")]
    public async Task Folder_OfATenantsBatchesIsALink_IsRefused(string folder)
    {
        var bench = new BatchBench((_, _) => Task.FromResult((200, "")));
        await bench.CloseAsync();
        string path = folder.Length == 0 ? bench.Root : Path.Combine(bench.Root, folder);
        _outside.PlantFolder(path);
        _outside.Watch();

        UnexpectedFileException refusal = Assert.Throws<UnexpectedFileException>(bench.Open);

        Assert.Equal($"'{path}' is a symbolic link, expected a folder", refusal.Message);
        Assert.Empty(_outside.Touched());
        File.Delete(path);
        bench.Open();
        await bench.DisposeAsync();
    }

    private async Task<StoredFile> UploadAsync()
    {
        FileStore store = FileStore.Open(Files, new BatchOptions(), TimeProvider.System);
        await using FileUpload upload = store.BeginUpload();
        await upload.AppendAsync("lines"u8.ToArray(), CancellationToken.None);
        return await upload.CompleteAsync("a.jsonl", null, CancellationToken.None);
    }
}
