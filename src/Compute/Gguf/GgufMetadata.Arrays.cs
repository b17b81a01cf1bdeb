using System.Buffers.Binary;

namespace Lamina.Compute.Gguf;

public sealed partial class GgufMetadata
{
    /// <summary>Elements of an array of any type, without decoding it; null when the key is absent.</summary>
    public int? FindCount(string key) => FindArray(key, "an array", static _ => true)?.Count;

    public IReadOnlyList<string>? FindStrings(string key)
    {
        if (FindUtf8Strings(key) is not { } utf8)
        {
            return null;
        }

        var strings = new string[utf8.Length];
        for (int i = 0; i < strings.Length; i++)
        {
            strings[i] = Decode(key, utf8[i].Span);
        }

        return strings;
    }

    /// <summary>Strings as the bytes of the file, one slice each and no copy; nothing promises that they are valid UTF-8.</summary>
    public ReadOnlyMemory<byte>[]? FindUtf8Strings(string key)
    {
        if (FindArray(key, "String[]", static type => type == GgufValueType.String) is not { } value)
        {
            return null;
        }

        var slices = new ReadOnlyMemory<byte>[value.Count];
        int position = 0;
        for (int i = 0; i < slices.Length; i++)
        {
            // The lengths were checked when the array was read.
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(value.Raw.Span[position..]);
            slices[i] = value.Raw.Slice(position + 8, length);
            position += 8 + length;
        }

        return slices;
    }

    public float[]? FindFloats(string key)
    {
        if (FindArray(key, "Float32[]", static type => type is GgufValueType.Float32 or GgufValueType.Float64) is not { } value)
        {
            return null;
        }

        var floats = new float[value.Count];
        for (int i = 0; i < floats.Length; i++)
        {
            floats[i] = (float)value.Real(i);
        }

        return floats;
    }

    /// <summary>Integers of any width that fit 32 bits.</summary>
    public int[]? FindInt32s(string key)
    {
        if (FindArray(key, "an array of integers", GgufValueTypes.IsInteger) is not { } value)
        {
            return null;
        }

        var integers = new int[value.Count];
        for (int i = 0; i < integers.Length; i++)
        {
            integers[i] = (int)InRange(key, value.Integer(i), int.MinValue, int.MaxValue);
        }

        return integers;
    }

    public bool[]? FindBools(string key)
    {
        if (FindArray(key, "Bool[]", static type => type == GgufValueType.Bool) is not { } value)
        {
            return null;
        }

        var bools = new bool[value.Count];
        for (int i = 0; i < bools.Length; i++)
        {
            bools[i] = ToBool(key, value.Raw.Span[i]);
        }

        return bools;
    }

    private GgufValue? FindArray(string key, string expected, Func<GgufValueType, bool> accepts)
    {
        if (!values.TryGetValue(key, out GgufValue value))
        {
            return null;
        }

        return value.IsArray && accepts(value.ElementType) ? value : throw Mismatch(key, value, expected);
    }
}
