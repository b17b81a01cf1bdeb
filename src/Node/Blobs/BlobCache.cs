using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Node.Stages;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Node.Blobs;

/// <summary>
/// This node's folder of verified blobs, named by digest, readable by its owner only and writable by nobody. A blob appears in one atomic rename after its hash was found
/// right; what is incomplete lies in <c>partial</c> and is resumed.
/// </summary>
internal sealed class BlobCache : IBlobStore
{
    private static readonly TimeSpan s_partialLife = TimeSpan.FromDays(2);

    private readonly StoreFolder _folder;
    private readonly StoreFolder _partial;

    /// <summary>Throws <see cref="IOException"/> with one sentence when the folder cannot be used.</summary>
    public BlobCache(string folder)
    {
        _folder = new StoreFolder(folder);
        _partial = _folder.Within("partial");
        try
        {
            _partial.Create();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the cache folder {folder} cannot be used: {e.Message}", e);
        }

        DeleteOldPartials();
    }

    /// <summary>A link is none of this cache's blobs, wherever it leads.</summary>
    public BlobReader? TryOpen(BlobDigest digest)
    {
        try
        {
            SafeFileHandle? file = TryOpenFile(digest);
            return file is null ? null : new BlobReader(file, 0, RandomAccess.GetLength(file));
        }
        catch (UnexpectedFileException)
        {
            return null;
        }
    }

    /// <summary>The blob's file for mapping, or null when it is not held. Throws <see cref="UnexpectedFileException"/> when something else is there under its name.</summary>
    public SafeFileHandle? TryOpenFile(BlobDigest digest)
    {
        try
        {
            return _folder.OpenRead(digest.ToString(), FileShare.Read | FileShare.Delete, FileOptions.SequentialScan);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    public bool Holds(BlobDigest digest) => _folder.Holds(digest.ToString());

    public bool Contains(BlobDigest digest, long bytes) => _folder.LengthOf(digest.ToString()) == bytes;

    /// <summary>Drops a blob found to be damaged, so that it is fetched again.</summary>
    public void Remove(BlobDigest digest) => _folder.Delete(digest.ToString());

    /// <summary>Throws <see cref="StageFault"/> when the folder's file system has less room than that.</summary>
    public void RequireRoom(long bytes)
    {
        long free = new DriveInfo(_folder.FullPath).AvailableFreeSpace;
        if (bytes > free)
        {
            throw new StageFault(StageFailure.OutOfMemory, $"the cache folder has {free} bytes free, {bytes} are needed");
        }
    }

    /// <summary>Opens the partial file of a blob, or one of its own where another process is busy with it or something else lies there. Its name is one for <see cref="Commit"/>.</summary>
    internal (FileStream File, string Name) OpenPartial(BlobDigest digest)
    {
        string name = digest.ToString();
        try
        {
            return (_partial.OpenOrCreate(name, bufferSize: 0), name);
        }
        catch (IOException e) when (e is UnexpectedFileException || _partial.Holds(name))
        {
            name = $"{name}.{Guid.NewGuid():N}";
            return (_partial.CreateNew(name, bufferSize: 0), name);
        }
    }

    /// <summary>Makes a complete and verified partial file the blob, and closes it.</summary>
    internal void Commit(FileStream partial, string name, BlobDigest digest)
    {
        File.SetAttributes(partial.SafeFileHandle, FileAttributes.ReadOnly);
        partial.Dispose();
        _partial.Move(name, _folder, digest.ToString());
    }

    internal void DeletePartial(string name) => _partial.Delete(name);

    private void DeleteOldPartials()
    {
        using PinnedFolder at = _partial.Pin();
        foreach (FileInfo file in new DirectoryInfo(at.FolderPath).EnumerateFiles())
        {
            if (DateTime.UtcNow - file.LastWriteTimeUtc > s_partialLife)
            {
                file.Delete();
            }
        }
    }
}
