using System.Buffers.Binary;
using System.Text;

namespace Lamina.Compute.Gguf;

/// <summary>
/// One metadata value in the encoding of the file, so that copying a header costs no conversion and a vocabulary is decoded only when asked for.
/// </summary>
/// <param name="ElementType">Type of an array's elements; the type itself for anything else.</param>
/// <param name="Count">Elements of an array; 1 for anything else.</param>
/// <param name="Raw">Little-endian payload: a scalar's bytes, a string's UTF-8, or an array's elements (each string with its 64-bit length before it).</param>
public readonly record struct GgufValue(GgufValueType Type, GgufValueType ElementType, int Count, ReadOnlyMemory<byte> Raw)
{
    public bool IsArray => Type == GgufValueType.Array;

    /// <summary>What an error message calls this value's type.</summary>
    internal string Describe() => IsArray ? $"{ElementType}[{Count}]" : Type.ToString();

    /// <summary>Fixed-size integer at <paramref name="index"/> of an array, or the scalar itself.</summary>
    internal Int128 Integer(int index)
    {
        ReadOnlySpan<byte> at = Element(index);
        return ElementType switch
        {
            GgufValueType.UInt8 => at[0],
            GgufValueType.Int8 => (sbyte)at[0],
            GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(at),
            GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(at),
            GgufValueType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(at),
            GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(at),
            GgufValueType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(at),
            GgufValueType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(at),
            _ => throw new InvalidOperationException($"{ElementType} is no integer"),
        };
    }

    internal double Real(int index) => ElementType switch
    {
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(Element(index)),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(Element(index)),
        _ => throw new InvalidOperationException($"{ElementType} is no real number"),
    };

    internal ReadOnlySpan<byte> Element(int index)
    {
        int size = GgufValueTypes.FixedBytes(ElementType);
        return Raw.Span.Slice(index * size, size);
    }

    internal static GgufValue String(string value) => new(GgufValueType.String, GgufValueType.String, 1, Encoding.UTF8.GetBytes(value));

    internal static GgufValue Scalar(GgufValueType type, ReadOnlySpan<byte> raw) => new(type, type, 1, raw.ToArray());

    internal static GgufValue Array(GgufValueType elementType, int count, ReadOnlyMemory<byte> raw) => new(GgufValueType.Array, elementType, count, raw);
}
