using Lamina.Cluster.Models;
using Lamina.Node.Blobs;

namespace Lamina.Node.Tests.Blobs;

public sealed class BlobDownloadTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-blobs-").FullName;
    private readonly byte[] _content = [.. Enumerable.Range(0, 1000).Select(i => (byte)(i * 7))];
    private readonly BlobCache _cache;
    private readonly BlobDigest _digest;

    public BlobDownloadTests()
    {
        _cache = new BlobCache(_folder);
        _digest = BlobDigest.Of(_content);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Blob_InParts_AppearsWholeAndReadOnly()
    {
        using (BlobDownload download = Begin())
        {
            download.Write(0, 1000, _content.AsSpan(0, 400));
            Assert.False(_cache.Holds(_digest));
            download.Write(400, 1000, _content.AsSpan(400));
            Assert.True(download.IsComplete);
        }

        using BlobReader reader = _cache.TryOpen(_digest)!;
        byte[] read = new byte[1000];
        reader.ReadExactly(0, read);
        Assert.Equal(_content, read);
        Assert.True(File.GetAttributes(Path.Combine(_folder, _digest.ToString())).HasFlag(FileAttributes.ReadOnly));
        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "partial")));
    }

    [Fact]
    public void Blob_Interrupted_GoesOnWhereItStopped()
    {
        using (BlobDownload first = Begin())
        {
            first.Write(0, 1000, _content.AsSpan(0, 600));
        }

        using BlobDownload second = Begin();
        Assert.Equal(600, second.Received);
        second.Write(600, 1000, _content.AsSpan(600));
        Assert.True(_cache.Contains(_digest, 1000));
    }

    [Trait("Attack", "A14")]
    [Fact]
    public void Blob_InterruptedAndDamagedMeanwhile_IsThrownAwayAndStartsAnew()
    {
        using (BlobDownload first = Begin())
        {
            first.Write(0, 1000, _content.AsSpan(0, 600));
        }

        string partial = Directory.GetFiles(Path.Combine(_folder, "partial")).Single();
        byte[] bytes = File.ReadAllBytes(partial);
        bytes[5] ^= 1;
        File.WriteAllBytes(partial, bytes);
        using (BlobDownload second = Begin())
        {
            Assert.Throws<InvalidDataException>(() => second.Write(600, 1000, _content.AsSpan(600)));
        }

        Assert.False(_cache.Holds(_digest));
        using BlobDownload third = Begin();
        Assert.Equal(0, third.Received);
    }

    [Fact]
    public void Bytes_OutOfPlaceOrTooMany_AreRefused()
    {
        using BlobDownload download = Begin();
        Assert.Throws<InvalidDataException>(() => download.Write(1, 1000, _content.AsSpan(0, 10)));
        Assert.Throws<InvalidDataException>(() => download.Write(0, 1001, _content.AsSpan(0, 10)));
        using var bounded = new BlobDownload(_cache, BlobDigest.Of([1]), null, 100);
        Assert.Throws<InvalidDataException>(() => bounded.Write(0, 101, _content.AsSpan(0, 101)));
    }

    [Fact]
    public void Blob_FetchedTwiceAtOnce_DoesNotMixTheFiles()
    {
        using BlobDownload one = Begin();
        using BlobDownload other = Begin();
        one.Write(0, 1000, _content);
        other.Write(0, 1000, _content);
        Assert.True(one.IsComplete && other.IsComplete);
    }

    private BlobDownload Begin() => new(_cache, _digest, 1000, 1000);
}
