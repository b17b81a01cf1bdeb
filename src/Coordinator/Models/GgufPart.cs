using Lamina.Compute.Gguf;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Coordinator.Models;

/// <summary>
/// One file of a GGUF model, read by position and never mapped: whoever shortens or replaces a mapped file kills the process, while a short read is an
/// error like any other.
/// </summary>
internal sealed class GgufPart : IDisposable
{
    /// <summary>Headers are read in growing pieces, because their length stands nowhere.</summary>
    private static readonly int[] s_headSizes = [4 << 20, 64 << 20, 1 << 30];

    private GgufPart(string path, SafeFileHandle handle, long length, GgufHeader header)
    {
        Path = path;
        Handle = handle;
        Length = length;
        Header = header;
    }

    public string Path { get; }
    public SafeFileHandle Handle { get; }
    public long Length { get; }
    public GgufHeader Header { get; }

    /// <summary>Where a tensor's bytes begin in the file.</summary>
    public long OffsetOf(GgufTensorInfo tensor) => Header.DataOffset + tensor.Offset;

    public void Dispose() => Handle.Dispose();

    /// <summary>Opens one file, whatever part it is. Throws <see cref="InvalidDataException"/> or <see cref="IOException"/> with one sentence.</summary>
    public static GgufPart OpenSingle(string path) => Read(path, OpenFile(path));

    /// <summary>Opens a regular file without reading it.</summary>
    public static SafeFileHandle OpenFile(string path)
    {
        FileKind.RequireRegular(path);
        return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
    }

    /// <summary>Parses a file that is open.</summary>
    /// <param name="handle">Owned by the part, or closed when it cannot be read.</param>
    public static GgufPart Read(string path, SafeFileHandle handle)
    {
        try
        {
            long length = RandomAccess.GetLength(handle);
            return new GgufPart(path, handle, length, ReadHeader(handle, length));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private static GgufHeader ReadHeader(SafeFileHandle handle, long length)
    {
        foreach (int size in s_headSizes)
        {
            byte[] head = new byte[Math.Min(size, length)];
            int filled = 0;
            while (filled < head.Length && RandomAccess.Read(handle, head.AsSpan(filled), filled) is int read && read > 0)
            {
                filled += read;
            }

            try
            {
                return GgufReader.Read(head.AsSpan(0, filled), length);
            }
            catch (InvalidDataException) when (size < length && size < s_headSizes[^1] && head.AsSpan().StartsWith("GGUF"u8))
            {
                // The header may be longer than what was read.
            }
        }

        throw new InvalidDataException($"the header is longer than {s_headSizes[^1]} bytes");
    }
}
