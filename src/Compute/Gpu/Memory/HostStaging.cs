using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Lamina.Compute.Gpu.Memory;

/// <summary>
/// Page-locked memory through which small things reach the device without waiting: a ring that is refilled only when what it held has been copied. Zeroed on release.
/// </summary>
internal sealed unsafe class HostStaging : IDisposable
{
    private readonly AcceleratorStream _stream;
    private readonly PageLockedArray1D<byte> _ring;
    private long _used;

    public HostStaging(Accelerator accelerator, AcceleratorStream stream, long bytes)
    {
        _stream = stream;
        _ring = accelerator.AllocatePageLocked1D<byte>(bytes, true);
    }

    /// <summary>Copies values to the device in the order of the stream.</summary>
    public void Upload<T>(ReadOnlySpan<T> source, ArrayView<byte> destination)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(source);
        for (long done = 0; done < bytes.Length;)
        {
            if (_used == _ring.Length)
            {
                Restart();
            }

            int count = (int)Math.Min(bytes.Length - done, _ring.Length - _used);
            bytes.Slice((int)done, count).CopyTo(_ring.Span.Slice((int)_used, count));
            destination.SubView(done, count).CopyFromCPUUnsafeAsync(_stream, ref _ring.Span[(int)_used], count);
            _used += count;
            done += count;
        }
    }

    /// <summary>Copies from the device and waits.</summary>
    public void Download<T>(ArrayView<byte> source, Span<T> destination)
        where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(destination);
        Restart();
        for (long done = 0; done < bytes.Length;)
        {
            int count = (int)Math.Min(bytes.Length - done, _ring.Length);
            source.SubView(done, count).CopyToCPUUnsafeAsync(_stream, ref _ring.Span[0], count);
            _stream.Synchronize();
            _ring.Span[..count].CopyTo(bytes.Slice((int)done, count));
            done += count;
        }
    }

    /// <summary>The stream has been waited for: the whole ring is free.</summary>
    public void Restart()
    {
        _stream.Synchronize();
        _used = 0;
    }

    public void Dispose()
    {
        _ring.Span.Clear();
        _ring.Dispose();
    }
}
