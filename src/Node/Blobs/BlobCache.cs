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
    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private static readonly TimeSpan s_partialLife = TimeSpan.FromDays(2);

    private readonly string _folder;
    private readonly string _partial;

    public BlobCache(string folder)
    {
        _folder = folder;
        _partial = Path.Combine(folder, "partial");
        CreateFolder(_folder);
        CreateFolder(_partial);
        DeleteOldPartials();
    }

    public BlobReader? TryOpen(BlobDigest digest)
    {
        SafeFileHandle? file = TryOpenFile(digest);
        return file is null ? null : new BlobReader(file, 0, RandomAccess.GetLength(file));
    }

    /// <summary>The blob's file for mapping, or null when it is not held.</summary>
    public SafeFileHandle? TryOpenFile(BlobDigest digest)
    {
        try
        {
            return File.OpenHandle(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, FileOptions.SequentialScan);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    public bool Holds(BlobDigest digest) => File.Exists(PathOf(digest));

    public bool Contains(BlobDigest digest, long bytes)
    {
        var file = new FileInfo(PathOf(digest));
        return file.Exists && file.Length == bytes;
    }

    /// <summary>Drops a blob found to be damaged, so that it is fetched again.</summary>
    public void Remove(BlobDigest digest) => File.Delete(PathOf(digest));

    /// <summary>Throws <see cref="StageFault"/> when the folder's file system has less room than that.</summary>
    public void RequireRoom(long bytes)
    {
        long free = new DriveInfo(_folder).AvailableFreeSpace;
        if (bytes > free)
        {
            throw new StageFault(StageFailure.OutOfMemory, $"the cache folder has {free} bytes free, {bytes} are needed");
        }
    }

    /// <summary>Opens the partial file of a blob, or one of its own where another process is busy with it.</summary>
    internal FileStream OpenPartial(BlobDigest digest)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        string path = Path.Combine(_partial, digest.ToString());
        try
        {
            return new FileStream(path, options);
        }
        catch (IOException) when (File.Exists(path))
        {
            options.Mode = FileMode.CreateNew;
            return new FileStream($"{path}.{Guid.NewGuid():N}", options);
        }
    }

    /// <summary>Makes a complete and verified partial file the blob.</summary>
    internal void Commit(string partialPath, BlobDigest digest)
    {
        File.SetAttributes(partialPath, FileAttributes.ReadOnly);
        File.Move(partialPath, PathOf(digest), overwrite: true);
    }

    private string PathOf(BlobDigest digest) => Path.Combine(_folder, digest.ToString());

    private static void CreateFolder(string path)
    {
        try
        {
            _ = OperatingSystem.IsWindows() ? Directory.CreateDirectory(path) : Directory.CreateDirectory(path, FolderMode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the cache folder {path} cannot be used: {e.Message}", e);
        }
    }

    private void DeleteOldPartials()
    {
        foreach (FileInfo file in new DirectoryInfo(_partial).EnumerateFiles())
        {
            if (DateTime.UtcNow - file.LastWriteTimeUtc > s_partialLife)
            {
                file.Delete();
            }
        }
    }
}
