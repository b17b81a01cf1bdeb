using System.Runtime.InteropServices;

namespace Lamina.Node.Pipeline;

/// <summary>Memory outside the managed heap, aligned to <see cref="StepFrame.Alignment"/> bytes; zeroed before it is freed, because it held activations.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private void* _memory;

    public NativeBuffer(long bytes)
    {
        Length = bytes;
        _memory = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), StepFrame.Alignment);
        NativeMemory.Clear(_memory, (nuint)bytes);
    }

    ~NativeBuffer() => Free();

    public long Length { get; }

    public Span<byte> Bytes(int length)
    {
        ObjectDisposedException.ThrowIf(_memory is null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        return new Span<byte>(_memory, length);
    }

    public Span<float> Floats(int length) => MemoryMarshal.Cast<byte, float>(Bytes(checked(length * sizeof(float))));

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_memory is not null)
        {
            NativeMemory.Clear(_memory, (nuint)Length);
            NativeMemory.AlignedFree(_memory);
            _memory = null;
        }
    }
}
