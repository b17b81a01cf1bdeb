using System.Buffers.Binary;
using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Compute.Gguf;

/// <summary>What an entry of a folder is.</summary>
public enum FileType { Regular, Folder, Link, Pipe, Socket, Device }

/// <param name="HardLinks">How many names it has.</param>
public readonly record struct FileStatus(FileType Type, uint HardLinks, long Length);

/// <summary>Tells regular files from pipes and devices, whose opening or reading may never end.</summary>
public static partial class FileKind
{
    // struct statx has one layout on every architecture: 256 bytes, the number of names 16 bytes in, the mode 28, the length 40.
    private const int StatusBytes = 256;
    private const int LinksOffset = 16;
    private const int ModeOffset = 28;
    private const int LengthOffset = 40;
    private const uint Wanted = 0x1 | 0x4 | 0x200; // STATX_TYPE, STATX_NLINK, STATX_SIZE
    private const int EmptyPath = 0x1000;
    private const int CurrentDirectory = -100;
    private const ushort FormatBits = 0xF000;

    /// <summary>Throws <see cref="IOException"/> when the path names something that exists and is no regular file. Checks on Linux only.</summary>
    public static void RequireRegular(string path)
    {
        // What is not there is no matter here: opening it says why.
        if (OperatingSystem.IsLinux() && TryStat(CurrentDirectory, path, 0, out FileStatus status) && status.Type != FileType.Regular)
        {
            throw new IOException($"'{path}' is not a regular file");
        }
    }

    /// <summary>What an open descriptor stands for; one that was opened without following links may stand for a link. Linux only. Throws <see cref="IOException"/> when the system does not say.</summary>
    public static FileStatus StatusOf(SafeFileHandle file) =>
        TryStat((int)file.DangerousGetHandle(), "", EmptyPath, out FileStatus status) ? status : throw new IOException("the system does not say what a descriptor stands for", new Win32Exception(Marshal.GetLastPInvokeError()));

    public static string Describe(FileType type) => type switch
    {
        FileType.Regular => "a regular file",
        FileType.Folder => "a folder",
        FileType.Link => "a symbolic link",
        FileType.Pipe => "a pipe",
        FileType.Socket => "a socket",
        _ => "a device",
    };

    private static unsafe bool TryStat(int directory, string path, int flags, out FileStatus status)
    {
        byte* bytes = stackalloc byte[StatusBytes];
        if (Statx(directory, path, flags, Wanted, bytes) != 0)
        {
            status = default;
            return false;
        }

        var found = new ReadOnlySpan<byte>(bytes, StatusBytes);
        FileType type = (BinaryPrimitives.ReadUInt16LittleEndian(found[ModeOffset..]) & FormatBits) switch
        {
            0x8000 => FileType.Regular,
            0x4000 => FileType.Folder,
            0xA000 => FileType.Link,
            0x1000 => FileType.Pipe,
            0xC000 => FileType.Socket,
            _ => FileType.Device,
        };
        status = new FileStatus(type, BinaryPrimitives.ReadUInt32LittleEndian(found[LinksOffset..]), BinaryPrimitives.ReadInt64LittleEndian(found[LengthOffset..]));
        return true;
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static unsafe partial int Statx(int directory, string path, int flags, uint mask, byte* status);
}
