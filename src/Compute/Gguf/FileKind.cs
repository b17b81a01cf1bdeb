using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Lamina.Compute.Gguf;

/// <summary>Tells regular files from pipes and devices, whose opening or reading may never end.</summary>
public static partial class FileKind
{
    private const int CurrentDirectory = -100;
    private const uint TypeMask = 0x1;
    private const int ModeOffset = 28;
    private const ushort FormatBits = 0xF000;
    private const ushort Regular = 0x8000;

    /// <summary>Throws <see cref="IOException"/> when the path names something that exists and is no regular file. Checks on Linux only.</summary>
    public static unsafe void RequireRegular(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        // struct statx has one layout on every architecture: 256 bytes, the mode 28 bytes in.
        byte* status = stackalloc byte[256];
        if (Statx(CurrentDirectory, path, 0, TypeMask, status) != 0)
        {
            return; // Opening it says why.
        }

        ushort mode = BinaryPrimitives.ReadUInt16LittleEndian(new ReadOnlySpan<byte>(status + ModeOffset, 2));
        if ((mode & FormatBits) != Regular)
        {
            throw new IOException($"'{path}' is not a regular file");
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int directory, string path, int flags, uint mask, byte* status);
}
