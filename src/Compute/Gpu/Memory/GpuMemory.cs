using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu.Memory;

/// <summary>A stage's buffers on the device, found again by the addresses that the layer stack holds. One thread.</summary>
internal sealed unsafe class GpuMemory(Accelerator accelerator, AcceleratorStream stream)
{
    private readonly List<GpuBuffer> _buffers = [];
    private GpuBuffer? _last;

    /// <summary>Throws <see cref="OutOfMemoryException"/> naming what was asked for and what is free.</summary>
    public GpuBuffer Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Bind();
        try
        {
            var buffer = new GpuBuffer(this, accelerator, stream, bytes);
            _buffers.Insert(~Search((nint)buffer.Pointer), buffer);
            return buffer;
        }
        catch (Exception e) when (e is AcceleratorException or OutOfMemoryException)
        {
            throw new OutOfMemoryException($"the device has no {bytes >> 20} MiB left: {e.Message}", e);
        }
    }

    /// <summary>The memory from an address to the end of its buffer.</summary>
    public ArrayView<byte> From(void* address)
    {
        long offset = _last?.OffsetOf(address) ?? -1;
        if (offset < 0)
        {
            int index = Search((nint)address);
            _last = _buffers[index >= 0 ? index : Math.Max(0, ~index - 1)];
            offset = _last.OffsetOf(address);
            ArgumentOutOfRangeException.ThrowIfNegative(offset);
        }

        return _last!.View.SubView(offset);
    }

    public ArrayView<T> From<T>(void* address)
        where T : unmanaged
        => From(address).Cast<T>();

    public RowsView Rows(Rows rows) => new(From<float>(rows.First), checked((int)rows.Stride));

    /// <summary>Makes the accelerator that of the calling thread: loading, computing and releasing may be on different ones.</summary>
    public void Bind() => accelerator.Bind();

    public void Forget(GpuBuffer buffer)
    {
        _buffers.Remove(buffer);
        _last = null;
    }

    private int Search(nint address)
    {
        int low = 0, high = _buffers.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            nint start = (nint)_buffers[middle].Pointer;
            if (start == address)
            {
                return middle;
            }

            (low, high) = start < address ? (middle + 1, high) : (low, middle - 1);
        }

        return ~low;
    }
}
