using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu.Memory;

/// <summary>Zeroed memory of an accelerator, zeroed again before it is given back.</summary>
internal sealed unsafe class GpuBuffer : IBuffer
{
    private readonly GpuMemory _memory;
    private readonly AcceleratorStream _stream;
    private MemoryBuffer1D<byte, Stride1D.Dense>? _buffer;

    public GpuBuffer(GpuMemory memory, Accelerator accelerator, AcceleratorStream stream, long bytes)
    {
        _memory = memory;
        _stream = stream;
        Bytes = bytes;
        _buffer = accelerator.Allocate1D<byte>(Math.Max(16, (bytes + 15) / 16 * 16));
        _buffer.View.MemSetToZero(stream);
    }

    public long Bytes { get; }

    public byte* Pointer => (byte*)Buffer.NativePtr;

    public ArrayView<byte> View => Buffer.View;

    /// <summary>Bytes that lie behind an address, from it on; negative when it lies elsewhere.</summary>
    public long OffsetOf(void* address) => (byte*)address - Pointer is var offset && offset >= 0 && offset < Buffer.Length ? offset : -1;

    private MemoryBuffer1D<byte, Stride1D.Dense> Buffer => _buffer ?? throw new ObjectDisposedException(nameof(GpuBuffer));

    public void Dispose()
    {
        if (_buffer is not { } buffer)
        {
            return;
        }

        _memory.Bind();

        // Nothing may still read it, and it must be clean before anyone else can get it.
        buffer.View.MemSetToZero(_stream);
        _stream.Synchronize();
        _memory.Forget(this);
        _buffer = null;
        buffer.Dispose();
    }
}
