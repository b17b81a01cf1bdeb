using System.Buffers.Binary;
using System.Text;

namespace Lamina.Compute.Gguf;

/// <summary>Walks a header's bytes; every read is checked against the bytes left, and failures name the offset.</summary>
internal ref struct GgufCursor(ReadOnlySpan<byte> bytes)
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly ReadOnlySpan<byte> bytes = bytes;

    public int Position { get; private set; }

    public readonly int Remaining => bytes.Length - Position;

    public ReadOnlySpan<byte> Take(int count, string what)
    {
        if (count > Remaining)
        {
            throw new InvalidDataException($"{what} at offset {Position} needs {count} bytes, {Remaining} are left: the file is damaged or cut short");
        }

        ReadOnlySpan<byte> taken = bytes.Slice(Position, count);
        Position += count;
        return taken;
    }

    public uint UInt32(string what) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, what));

    public ulong UInt64(string what) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, what));

    /// <summary>A 64-bit count of items of at least <paramref name="minimumBytes"/> each, within <paramref name="limit"/> and the bytes left.</summary>
    public int Count(string what, int minimumBytes, int limit)
    {
        ulong count = UInt64(what);
        return count <= (ulong)Math.Min(limit, Remaining / minimumBytes) ? (int)count : throw TooMany($"{what} at offset {Position - 8} is {count}", count, limit, Remaining / minimumBytes);
    }

    /// <summary>Length-prefixed bytes.</summary>
    public ReadOnlySpan<byte> Bytes(string what, int limit)
    {
        ulong length = UInt64(what);
        return length <= (ulong)Math.Min(limit, Remaining)
            ? Take((int)length, what)
            : throw TooMany($"{what} at offset {Position - 8} is {length} bytes long", length, limit, Remaining);
    }

    /// <summary>A length-prefixed name: strict UTF-8, no NUL.</summary>
    public string Name(string what, int limit)
    {
        int start = Position;
        ReadOnlySpan<byte> name = Bytes(what, limit);
        if (name.Contains((byte)0))
        {
            throw new InvalidDataException($"{what} at offset {start} contains a NUL byte");
        }

        return Decode(name, what, start);
    }

    private static InvalidDataException TooMany(string found, ulong count, int limit, int fitting) => new(
        count > (ulong)limit ? $"{found}, the limit is {limit}" : $"{found}, but only {fitting} fit the bytes left: the file is damaged or cut short");

    public static string Decode(ReadOnlySpan<byte> utf8, string what, int offset)
    {
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException)
        {
            throw new InvalidDataException($"{what} at offset {offset} is not valid UTF-8");
        }
    }
}
