using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Cluster.Models;

/// <summary>
/// A folder below a store's root, found without following a link and held by its descriptor, so that it stays the same folder whatever its name means by now. Elsewhere than on Linux links are looked for
/// before a path is used, and the path is used as it is.
/// </summary>
public sealed partial class PinnedFolder : IDisposable
{
    private const int CurrentDirectory = -100;
    private const int PathOnly = 0x200000; // O_PATH: neither reads nor waits, so that a pipe or a device cannot hold anybody up
    private const int CloseOnExec = 0x80000; // O_CLOEXEC
    private const int NoEntry = 2, AccessDenied = 13, NotAFolder = 20;

    // O_NOFOLLOW, one of the few that architectures number differently.
    private static readonly int s_noFollow = RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 or Architecture.S390x or Architecture.RiscV64 or Architecture.LoongArch64 ? 0x20000 : 0x8000;

    private readonly string _path;
    private readonly SafeFileHandle? _descriptor;

    private PinnedFolder(string path, SafeFileHandle? descriptor) => (_path, _descriptor) = (path, descriptor);

    /// <summary>Leads to this very folder as long as it is held.</summary>
    public string FolderPath => _descriptor is null ? _path : NameOf(_descriptor);

    /// <summary>Where a file of that name is created, moved to or deleted. Not to open one by: <see cref="StoreFolder.OpenRead"/> does.</summary>
    public string PathOf(string name) => Path.Combine(FolderPath, RequireComponent(name));

    public void Dispose() => _descriptor?.Dispose();

    /// <summary>Throws <see cref="ArgumentException"/> unless it is the name of one entry of a folder and nothing more.</summary>
    internal static string RequireComponent(string name) =>
        name.Length == 0 || name is "." or ".." || name.AsSpan().ContainsAny('/', '\\', '\0') ? throw new ArgumentException("a name in a store is neither empty nor a path") : name;

    internal static PinnedFolder Open(string root, ReadOnlySpan<string> below)
    {
        var folder = new PinnedFolder(root, OperatingSystem.IsLinux() ? Descriptor(null, root, root, flags: 0) ?? throw Missing(root) : null);
        foreach (string name in below)
        {
            using PinnedFolder parent = folder;
            using PinnedFile file = parent.TryPin(name, FileType.Folder) ?? throw Missing(Path.Combine(parent._path, name));
            folder = new PinnedFolder(file.FullPath, file.Detach());
        }

        return folder;
    }

    /// <summary>Finds an entry without opening it; null when there is none. Throws <see cref="UnexpectedFileException"/> when it is of another type.</summary>
    internal PinnedFile? TryPin(string name, FileType expected)
    {
        string path = Path.Combine(_path, RequireComponent(name));
        if (_descriptor is null)
        {
            FileSystemInfo info = Directory.Exists(path) ? new DirectoryInfo(path) : new FileInfo(path);
            FileType found = info.LinkTarget is not null ? FileType.Link : info is DirectoryInfo ? FileType.Folder : FileType.Regular;
            return !info.Exists && found != FileType.Link ? null : Require(path, found, expected) ? new PinnedFile(path, null, 1, (info as FileInfo)?.Length ?? 0) : null;
        }

        SafeFileHandle? descriptor = Descriptor(_descriptor, name, path, s_noFollow);
        try
        {
            if (descriptor is null)
            {
                return null;
            }

            FileStatus status = FileKind.StatusOf(descriptor);
            Require(path, status.Type, expected);
            var pinned = new PinnedFile(path, descriptor, status.HardLinks, status.Length);
            descriptor = null;
            return pinned;
        }
        finally
        {
            descriptor?.Dispose();
        }
    }

    internal static string NameOf(SafeFileHandle descriptor) => $"/proc/self/fd/{descriptor.DangerousGetHandle()}";

    private static bool Require(string path, FileType found, FileType expected) =>
        found == expected ? true : throw new UnexpectedFileException($"'{path}' is {FileKind.Describe(found)}, expected {FileKind.Describe(expected)}");

    private static SafeFileHandle? Descriptor(SafeFileHandle? folder, string name, string path, int flags)
    {
        int descriptor = OpenAt(folder is null ? CurrentDirectory : (int)folder.DangerousGetHandle(), name, PathOnly | CloseOnExec | flags);
        if (descriptor >= 0)
        {
            return new SafeFileHandle(descriptor, ownsHandle: true);
        }

        int error = Marshal.GetLastPInvokeError();
        return error switch
        {
            NoEntry or NotAFolder => null,
            AccessDenied => throw new UnauthorizedAccessException($"access to '{path}' is denied"),
            _ => throw new IOException($"'{path}' cannot be found: {Marshal.GetPInvokeErrorMessage(error)}"),
        };
    }

    private static DirectoryNotFoundException Missing(string path) => new($"the folder '{path}' does not exist");

    [LibraryImport("libc", EntryPoint = "openat", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int OpenAt(int folder, string path, int flags);
}

/// <summary>An entry of a folder that was found and not opened.</summary>
/// <param name="FullPath">For sentences.</param>
/// <param name="HardLinks">How many names it has.</param>
internal sealed record PinnedFile(string FullPath, SafeFileHandle? Descriptor, uint HardLinks, long Length) : IDisposable
{
    private bool _detached;

    /// <summary>Opens this very entry.</summary>
    public string OpenPath => Descriptor is null ? FullPath : PinnedFolder.NameOf(Descriptor);

    /// <summary>Leaves the descriptor to the caller.</summary>
    public SafeFileHandle? Detach()
    {
        _detached = true;
        return Descriptor;
    }

    public void Dispose()
    {
        if (!_detached)
        {
            Descriptor?.Dispose();
        }
    }
}

/// <summary>Something else lies where a file or folder of this program should: says what, what was expected, and where. Nothing was opened.</summary>
public sealed class UnexpectedFileException(string message) : IOException(message);
