using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Lamina.Node.Blobs;
using Lamina.Node.Stages;
using Lamina.TestSupport;

namespace Lamina.Node.Tests.Blobs;

/// <summary>Links and pipes that somebody planted in a node's cache: none is followed, nothing outside is opened, and the next fetch puts the blob in their place.</summary>
public sealed class PlantedBlobTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-planted-blobs-").FullName;
    private readonly byte[] _content = [.. Enumerable.Range(0, 1024).Select(i => (byte)(i * 7))];
    private readonly BlobDigest _digest;
    private readonly OutsideFolder _outside;

    public PlantedBlobTests()
    {
        _outside = new OutsideFolder(Path.Combine(_folder, "outside"));
        _digest = BlobDigest.Of(_content);
    }

    private string Root => Path.Combine(_folder, "cache");

    public static TheoryData<Planted> All => [.. Enum.GetValues<Planted>()];

    public void Dispose()
    {
        _outside.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Trait("Attack", "D1")]
    [Theory]
    [MemberData(nameof(All))]
    public void Blob_Planted_IsNotHeldNotReadAndFetchedAnew(Planted what)
    {
        var cache = new BlobCache(Root);
        Download(cache);
        string path = Path.Combine(Root, _digest.ToString());
        ManifestTensor tensor = new("t", GgmlType.F32, [256], _content.Length, _digest.ToString());
        VerifiedTensors.Open(cache, [tensor], 1).Dispose();
        _outside.Plant(what, path);
        _outside.Watch();

        Assert.Null(cache.TryOpen(_digest));
        Assert.False(cache.Holds(_digest) || cache.Contains(_digest, _content.Length));
        StageFault fault = Assert.Throws<StageFault>(() => VerifiedTensors.Open(cache, [tensor], 1));
        Assert.Equal((StageFailure.Corrupt, $"'{path}' is {(what == Planted.Pipe ? "a pipe" : "a symbolic link")}, expected a regular file"), (fault.Failure, fault.Message));
        Download(cache);
        Assert.True(cache.Contains(_digest, _content.Length));
        VerifiedTensors.Open(cache, [tensor], 1).Dispose();
        Assert.Empty(_outside.Touched());
    }

    [Trait("Attack", "D1")]
    [Theory]
    [MemberData(nameof(All))]
    public void PartialBlob_Planted_IsNeitherResumedNorWrittenOn(Planted what)
    {
        var cache = new BlobCache(Root);
        string path = Path.Combine(Root, "partial", _digest.ToString());
        File.WriteAllBytes(path, _content[..100]);
        _outside.Plant(what, path);
        _outside.Watch();

        Download(cache);

        Assert.True(cache.Contains(_digest, _content.Length));
        Assert.Empty(_outside.Touched());
    }

    /// <summary>A second name of a file elsewhere: going on with it would write there.</summary>
    [Trait("Attack", "D1")]
    [Fact]
    public void PartialBlob_IsASecondNameOfAnotherFile_IsNotWrittenOn()
    {
        var cache = new BlobCache(Root);
        Assert.Equal(0, OutsideFolder.HardLink(Path.Combine(_folder, "outside", "folder", "inside.json"), Path.Combine(Root, "partial", _digest.ToString())));
        _outside.Watch();

        Download(cache);

        Assert.True(cache.Contains(_digest, _content.Length));
        Assert.Empty(_outside.Touched());
    }

    [Trait("Attack", "D1")]
    [Fact]
    public void PartialFolder_IsALink_TheCacheIsRefused()
    {
        var running = new BlobCache(Root);
        string path = Path.Combine(Root, "partial");
        _outside.PlantFolder(path);
        _outside.Watch();

        IOException refusal = Assert.Throws<IOException>(() => new BlobCache(Root));
        Assert.Throws<UnexpectedFileException>(() => new BlobDownload(running, _digest, _content.Length, _content.Length));

        Assert.Equal($"the cache folder {Root} cannot be used: '{path}' is a symbolic link, expected a folder", refusal.Message);
        Assert.Empty(_outside.Touched());
    }

    /// <summary>Where the cache lies is the operator's choice.</summary>
    [Fact]
    public void Root_IsALink_WorksAsEver()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "elsewhere"));
        Directory.CreateSymbolicLink(Root, Path.Combine(_folder, "elsewhere"));
        var cache = new BlobCache(Root);

        Download(cache);

        Assert.True(cache.Contains(_digest, _content.Length));
        Assert.True(File.Exists(Path.Combine(_folder, "elsewhere", _digest.ToString())));
    }

    private void Download(BlobCache cache)
    {
        using var download = new BlobDownload(cache, _digest, _content.Length, _content.Length);
        Assert.Equal(0, download.Received);
        download.Write(0, _content.Length, _content);
        Assert.True(download.IsComplete);
    }
}
