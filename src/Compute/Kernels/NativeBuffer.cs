using System.Runtime.InteropServices;

namespace Lamina.Compute.Kernels;

/// <summary>
/// Zeroed native memory aligned to cache lines, zeroed again on disposal. Large buffers ask for huge pages and take memory only where they are touched: a cache is sized
/// for its fullest hour, and clearing all of it at load would take longer than loading the weights.
/// </summary>
public sealed unsafe class NativeBuffer : IBuffer
{
    private readonly bool _isMapped;
    private byte* _pointer;

    /// <summary>Throws <see cref="OutOfMemoryException"/> when the system refuses.</summary>
    public NativeBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Bytes = bytes;
        _isMapped = OperatingSystem.IsLinux() && bytes >= 2 * MappedMemory.HugePage;
        if (_isMapped)
        {
            _pointer = MappedMemory.Map(bytes);
        }
        else
        {
            _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), 64);
            NativeMemory.Clear(_pointer, (nuint)bytes);
        }

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
        if (_isMapped)
        {
            MappedMemory.ClearAndUnmap(pointer, Bytes);
        }
        else
        {
            NativeMemory.Clear(pointer, (nuint)Bytes);
            NativeMemory.AlignedFree(pointer);
        }

        GC.RemoveMemoryPressure(Math.Max(Bytes, 1));
        GC.SuppressFinalize(this);
    }

    ~NativeBuffer() => Dispose();
}
