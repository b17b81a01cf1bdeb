using Lamina.Compute.Gguf;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Cluster.Models;

/// <summary>
/// A folder of this program's own files, such as a model store or a node's cache. Whatever was planted there leads nowhere: a file is opened only when it is a regular file, and neither it nor a folder on
/// the way to it may be a symbolic link. The root may be one: where the store lies is its operator's choice.
/// </summary>
public sealed class StoreFolder
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerFolder = OwnerFile | UnixFileMode.UserExecute;

    private readonly string _root;
    private readonly string[] _below;

    /// <param name="root">May be a symbolic link, as may what it lies in.</param>
    public StoreFolder(string root)
        : this(Path.GetFullPath(root), [])
    {
    }

    private StoreFolder(string root, string[] below)
    {
        _root = root;
        _below = below;
        FullPath = Path.Combine([root, .. below]);
    }

    /// <summary>For sentences, and to look at; opening it follows links.</summary>
    public string FullPath { get; }

    public StoreFolder Within(string name) => new(_root, [.. _below, PinnedFolder.RequireComponent(name)]);

    /// <summary>Makes the folder, and those on the way to it, for its owner alone. Throws <see cref="UnexpectedFileException"/> where one is there that is none.</summary>
    public void Create()
    {
        CreateOne(_root);
        for (int i = 0; i < _below.Length; i++)
        {
            using PinnedFolder parent = PinnedFolder.Open(_root, _below.AsSpan(0, i));
            string path = parent.PathOf(_below[i]);
            parent.TryPin(_below[i], FileType.Folder)?.Dispose();
            CreateOne(path);
        }

        Pin().Dispose();
    }

    /// <summary>Holds on to the folder as it is now, to create, move and delete what lies in it. Throws <see cref="IOException"/> when it is not there, <see cref="UnexpectedFileException"/> when it is a link.</summary>
    public PinnedFolder Pin() => PinnedFolder.Open(_root, _below);

    /// <summary>The names of what lies here and is no folder. Throws as <see cref="Pin"/>.</summary>
    public string[] Names(string pattern = "*")
    {
        using PinnedFolder at = Pin();
        return [.. Directory.EnumerateFiles(at.FolderPath, pattern).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
    }

    /// <summary>Whether a regular file of that name lies here: not a link to one.</summary>
    public bool Holds(string name) => LengthOf(name) is not null;

    /// <summary>The length of a regular file; null when there is none.</summary>
    public long? LengthOf(string name)
    {
        try
        {
            using PinnedFolder at = Pin();
            using PinnedFile? file = at.TryPin(name, FileType.Regular);
            return file?.Length;
        }
        catch (Exception e) when (e is UnexpectedFileException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>
    /// Opens a file for reading. Throws <see cref="FileNotFoundException"/> when there is none, <see cref="UnexpectedFileException"/> when it is no regular file, else as
    /// <see cref="File.OpenHandle"/> does.
    /// </summary>
    public SafeFileHandle OpenRead(string name, FileShare share = FileShare.ReadWrite | FileShare.Delete, FileOptions options = FileOptions.None)
    {
        using PinnedFolder at = Pin();
        using PinnedFile file = at.TryPin(name, FileType.Regular) ?? throw new FileNotFoundException($"the file '{PathOf(name)}' does not exist", PathOf(name));
        return Named(file.OpenPath, name, () => File.OpenHandle(file.OpenPath, FileMode.Open, FileAccess.Read, share, options));
    }

    /// <summary>A whole file. Throws as <see cref="OpenRead"/>, and <see cref="InvalidDataException"/> when it is longer than <paramref name="limit"/>.</summary>
    public byte[] ReadAll(string name, long limit)
    {
        using SafeFileHandle file = OpenRead(name);
        long length = RandomAccess.GetLength(file);
        byte[] bytes = length <= limit ? new byte[length] : throw new InvalidDataException($"the file '{PathOf(name)}' has {length} bytes, at most {limit} are read");
        int filled = 0;
        while (filled < bytes.Length && RandomAccess.Read(file, bytes.AsSpan(filled), filled) is int read && read > 0)
        {
            filled += read;
        }

        return filled == bytes.Length ? bytes : bytes[..filled];
    }

    /// <summary>Makes a file that its owner alone reads. Throws <see cref="IOException"/> when anything of that name is there, be it a link that leads nowhere.</summary>
    public FileStream CreateNew(string name, FileOptions options = FileOptions.None, int bufferSize = 4096)
    {
        using PinnedFolder at = Pin();
        return Open(at.PathOf(name), name, FileMode.CreateNew, FileShare.None, options, bufferSize);
    }

    /// <summary>
    /// Opens a file to write on, or makes it. Throws <see cref="UnexpectedFileException"/> when what is there is no regular file or has a second name, which may lie elsewhere, and
    /// <see cref="IOException"/> while another process has it open.
    /// </summary>
    public FileStream OpenOrCreate(string name, FileShare share = FileShare.None, FileOptions options = FileOptions.None, int bufferSize = 4096)
    {
        using PinnedFolder at = Pin();
        using PinnedFile? file = at.TryPin(name, FileType.Regular);
        if (file is { HardLinks: > 1 })
        {
            throw new UnexpectedFileException($"'{PathOf(name)}' is a file with {file.HardLinks} names, expected one that has no other");
        }

        return file is null ? Open(at.PathOf(name), name, FileMode.CreateNew, share, options, bufferSize) : Open(file.OpenPath, name, FileMode.Open, share, options, bufferSize);
    }

    /// <summary>Gives a file its content: a crash leaves the old or the new, and what is there under that name is replaced and not written to, be it a link.</summary>
    /// <param name="durable">Whether to wait for the disk before it has its name.</param>
    public void Write(string name, ReadOnlySpan<byte> content, bool durable = false)
    {
        using PinnedFolder at = Pin();
        string partial = $"{name}.{Guid.NewGuid():N}.partial";
        try
        {
            using (FileStream file = Open(at.PathOf(partial), partial, FileMode.CreateNew, FileShare.None, FileOptions.None, bufferSize: 0))
            {
                file.Write(content);
                file.Flush(durable);
            }

            File.Move(at.PathOf(partial), at.PathOf(name), overwrite: true);
        }
        catch
        {
            File.Delete(at.PathOf(partial));
            throw;
        }
    }

    /// <summary>Removes what has that name, and not what it may lead to.</summary>
    public void Delete(string name)
    {
        using PinnedFolder at = Pin();
        File.Delete(at.PathOf(name));
    }

    /// <summary>Gives what is here another place, in the stead of what is there; a link stays one. Both on one file system.</summary>
    public void Move(string name, StoreFolder to, string newName)
    {
        using PinnedFolder here = Pin(), there = to.Pin();
        File.Move(here.PathOf(name), there.PathOf(newName), overwrite: true);
    }

    /// <summary>For sentences, and for what does not open it.</summary>
    public string PathOf(string name) => Path.Combine(FullPath, PinnedFolder.RequireComponent(name));

    private static void CreateOne(string path) => _ = OperatingSystem.IsWindows() ? Directory.CreateDirectory(path) : Directory.CreateDirectory(path, OwnerFolder);

    private FileStream Open(string path, string name, FileMode mode, FileShare share, FileOptions options, int bufferSize)
    {
        var stream = new FileStreamOptions { Mode = mode, Access = FileAccess.ReadWrite, Share = share, Options = options, BufferSize = bufferSize };
        if (!OperatingSystem.IsWindows() && mode == FileMode.CreateNew)
        {
            stream.UnixCreateMode = OwnerFile;
        }

        return Named(path, name, () => new FileStream(path, stream));
    }

    /// <summary>Errors name the file as its owner knows it, not by a descriptor.</summary>
    private T Named<T>(string path, string name, Func<T> open)
    {
        try
        {
            return open();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && e.Message.Contains(path, StringComparison.Ordinal) && path != PathOf(name))
        {
            string message = e.Message.Replace(path, PathOf(name), StringComparison.Ordinal);
            throw e is UnauthorizedAccessException ? new UnauthorizedAccessException(message, e) : new IOException(message, e.HResult);
        }
    }
}
