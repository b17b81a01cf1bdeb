using System.Runtime.InteropServices;

namespace Lamina.Compute.Kernels;

/// <summary>Zeroed native memory aligned to cache lines, zeroed again on disposal. Large buffers ask for huge pages.</summary>
public sealed unsafe partial class NativeBuffer : IDisposable
{
    private const nuint HugePage = 2 << 20;
    private const int AdviseHugePages = 14;

    private byte* _pointer;

    /// <summary>Throws <see cref="OutOfMemoryException"/> when the system refuses.</summary>
    public NativeBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Bytes = bytes;
        nuint alignment = (nuint)bytes >= 2 * HugePage ? HugePage : 64;
        _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), alignment);
        if (alignment == HugePage && OperatingSystem.IsLinux())
        {
            _ = Advise(_pointer, (nuint)bytes / HugePage * HugePage, AdviseHugePages);
        }

        NativeMemory.Clear(_pointer, (nuint)bytes);
        GC.AddMemoryPressure(Math.Max(bytes, 1));
    }

    public long Bytes { get; }

    public byte* Pointer => _pointer is not null ? _pointer : throw new ObjectDisposedException(nameof(NativeBuffer));

    public void Dispose()
    {
        byte* pointer = _pointer;
        if (pointer is null)
        {
            return;
        }

        _pointer = null;
        NativeMemory.Clear(pointer, (nuint)Bytes);
        NativeMemory.AlignedFree(pointer);
        GC.RemoveMemoryPressure(Math.Max(Bytes, 1));
        GC.SuppressFinalize(this);
    }

    ~NativeBuffer() => Dispose();

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
