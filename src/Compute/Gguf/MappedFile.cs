using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Compute.Gguf;

/// <summary>A regular file mapped read-only for its whole length. Whoever shortens the file while it is mapped kills the process, so models live in a store that nobody else writes.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile mapping;
    private readonly MemoryMappedViewAccessor view;
    private readonly byte* address;
    private bool disposed;

    private MappedFile(MemoryMappedFile mapping, MemoryMappedViewAccessor view, long length)
    {
        this.mapping = mapping;
        this.view = view;
        Length = length;
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        address = start + view.PointerOffset;
    }

    public long Length { get; }

    public nint Address => (nint)address;

    /// <summary>The first bytes, as many as <paramref name="limit"/> and the file allow.</summary>
    public ReadOnlySpan<byte> Head(int limit) => new(address, (int)Math.Min(limit, Length));

    public static MappedFile Open(string path)
    {
        FileKind.RequireRegular(path);
        using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        long length = RandomAccess.GetLength(file);
        if (length == 0)
        {
            throw new InvalidDataException("the file is empty");
        }

        MemoryMappedFile mapping = MemoryMappedFile.CreateFromFile(file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            return new MappedFile(mapping, mapping.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read), length);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (disposed)
        {
            return;
        }

        disposed = true;
        view.SafeMemoryMappedViewHandle.ReleasePointer();
        view.Dispose();
        mapping.Dispose();
    }
}
