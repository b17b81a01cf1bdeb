using System.Buffers.Binary;
using System.Text;

namespace Lamina.Compute.Tests.Gguf;

/// <summary>Writes GGUF headers field by field, so that tests can make what <c>GgufWriter</c> refuses to.</summary>
internal sealed class GgufBytes
{
    private readonly List<byte> bytes = [];

    public static GgufBytes Header(ulong tensors, ulong pairs, uint version = 3) => new GgufBytes().Raw("GGUF"u8).U32(version).U64(tensors).U64(pairs);

    public GgufBytes Raw(ReadOnlySpan<byte> raw)
    {
        bytes.AddRange(raw);
        return this;
    }

    public GgufBytes U32(uint value)
    {
        Span<byte> raw = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(raw, value);
        return Raw(raw);
    }

    public GgufBytes U64(ulong value)
    {
        Span<byte> raw = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(raw, value);
        return Raw(raw);
    }

    public GgufBytes Text(string text) => U64((ulong)Encoding.UTF8.GetByteCount(text)).Raw(Encoding.UTF8.GetBytes(text));

    public GgufBytes Tensor(string name, ulong[] dimensions, uint type, ulong offset)
    {
        Text(name).U32((uint)dimensions.Length);
        foreach (ulong extent in dimensions)
        {
            U64(extent);
        }

        return U32(type).U64(offset);
    }

    public GgufBytes Pad(int alignment = 32)
    {
        while (bytes.Count % alignment != 0)
        {
            bytes.Add(0);
        }

        return this;
    }

    public byte[] ToArray() => [.. bytes];
}
