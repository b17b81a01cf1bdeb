using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Node.Stages;

namespace Lamina.Node.Blobs;

/// <summary>One blob on its way into the cache: hashed as it is written, kept when the connection breaks, thrown away when its hash is wrong.</summary>
internal sealed class BlobDownload : IDisposable
{
    private const int DiskFull = 28; // ENOSPC

    private readonly BlobCache _cache;
    private readonly FileStream _file;
    private readonly string _name;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private long? _length;

    /// <param name="length">Bytes of the blob, or null when only its bound is known.</param>
    /// <param name="limit">Most bytes it may have.</param>
    public BlobDownload(BlobCache cache, BlobDigest digest, long? length, long limit)
    {
        _cache = cache;
        _length = length;
        Digest = digest;
        Limit = length ?? limit;
        (_file, _name) = cache.OpenPartial(digest);
        Resume();
    }

    public BlobDigest Digest { get; }
    public long Limit { get; }

    /// <summary>Bytes held so far: where the transfer goes on.</summary>
    public long Received { get; private set; }

    public bool IsComplete { get; private set; }

    /// <summary>Appends bytes. Throws <see cref="InvalidDataException"/> when they do not follow those held, are too many, or the whole has another hash.</summary>
    public void Write(long offset, long wholeLength, ReadOnlySpan<byte> bytes)
    {
        _length ??= wholeLength;
        if (wholeLength != _length || wholeLength > Limit || offset != Received)
        {
            throw new InvalidDataException($"{Digest}: {bytes.Length} bytes from {offset} of {wholeLength} came, awaited was {Received} of {_length} (at most {Limit})");
        }

        try
        {
            _file.Write(bytes);
        }
        catch (IOException e) when ((e.HResult & 0xFFFF) == DiskFull)
        {
            throw new StageFault(StageFailure.OutOfMemory, $"the cache folder's disk is full after {Received} of {_length} bytes of a blob", e);
        }

        _hash.AppendData(bytes);
        Received += bytes.Length;
        if (Received == _length)
        {
            Finish();
        }
    }

    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
    }

    private void Resume()
    {
        if (_file.Length == 0 || _file.Length >= Limit)
        {
            _file.SetLength(0);
            return;
        }

        byte[] buffer = new byte[1 << 20];
        for (int read; (read = _file.Read(buffer)) > 0;)
        {
            _hash.AppendData(buffer, 0, read);
            Received += read;
        }
    }

    private void Finish()
    {
        bool right = BlobDigest.FromHash(_hash.GetHashAndReset()) == Digest;
        if (!right)
        {
            _file.SetLength(0);
            _cache.DeletePartial(_name);
            throw new InvalidDataException($"{Digest}: the {Received} bytes that came have another hash");
        }

        // Not forced to the disk: what a crash leaves damaged is found by its hash when it is loaded, and fetched again.
        _cache.Commit(_file, _name, Digest);
        IsComplete = true;
    }
}
