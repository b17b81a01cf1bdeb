using System.Runtime.InteropServices;

namespace Lamina.Cluster.Links;

/// <summary>Bytes of a link's own outside the collected heap, cleared when released: they held activations, prompts or weights.</summary>
internal sealed unsafe class LinkBuffer : IDisposable
{
    private byte* _bytes;
    private int _length;
    private int _used;

    ~LinkBuffer() => Release();

    /// <summary>Bytes set aside.</summary>
    public int Capacity => _length;

    /// <summary>The first <paramref name="length"/> bytes; grows when needed, which loses the contents.</summary>
    public Span<byte> Take(int length)
    {
        if (length > _length)
        {
            int size = (int)Math.Min(Math.Max(4096L, (long)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length)), Array.MaxLength);
            Release();
            _bytes = (byte*)NativeMemory.Alloc((nuint)size);
            _length = size;
        }

        _used = Math.Max(_used, length);
        return new Span<byte>(_bytes, length);
    }

    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    private void Release()
    {
        if (_bytes is not null)
        {
            NativeMemory.Clear(_bytes, (nuint)_used);
            NativeMemory.Free(_bytes);
            _bytes = null;
            _length = _used = 0;
        }
    }
}
