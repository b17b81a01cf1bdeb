using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Lamina.Compute.Gguf;

/// <summary>Builds metadata in code; setting a key again replaces its value in place.</summary>
public sealed class GgufMetadataBuilder
{
    private readonly OrderedDictionary<string, GgufValue> pairs = new(StringComparer.Ordinal);

    public GgufMetadataBuilder()
    {
    }

    /// <summary>Starts from a copy of <paramref name="source"/>.</summary>
    public GgufMetadataBuilder(GgufMetadata source)
    {
        foreach ((string key, GgufValue value) in source.Pairs)
        {
            pairs[key] = value;
        }
    }

    public GgufMetadata Build() => new(pairs.ToArray());

    public GgufMetadataBuilder Remove(string key)
    {
        pairs.Remove(key);
        return this;
    }

    public GgufMetadataBuilder Set(string key, GgufValue value)
    {
        pairs[key] = value;
        return this;
    }

    public GgufMetadataBuilder Set(string key, string value) => Set(key, GgufValue.String(value));

    /// <summary>Writes UInt32, the width that counts and ids have in published files.</summary>
    public GgufMetadataBuilder Set(string key, uint value) => Number(key, GgufValueType.UInt32, value);

    public GgufMetadataBuilder Set(string key, int value) => value >= 0 ? Set(key, (uint)value) : Number(key, GgufValueType.Int32, value);

    public GgufMetadataBuilder Set(string key, ushort value) => Number(key, GgufValueType.UInt16, value);

    public GgufMetadataBuilder Set(string key, long value) => Number(key, GgufValueType.Int64, value);

    public GgufMetadataBuilder Set(string key, ulong value) => Number(key, GgufValueType.UInt64, value);

    public GgufMetadataBuilder Set(string key, float value) => Number(key, GgufValueType.Float32, value);

    public GgufMetadataBuilder Set(string key, bool value) => Set(key, GgufValue.Scalar(GgufValueType.Bool, [value ? (byte)1 : (byte)0]));

    public GgufMetadataBuilder Set(string key, IReadOnlyCollection<string> values)
    {
        using var raw = new MemoryStream();
        Span<byte> length = stackalloc byte[8];
        foreach (string value in values)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(value);
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)utf8.Length);
            raw.Write(length);
            raw.Write(utf8);
        }

        return Set(key, GgufValue.Array(GgufValueType.String, values.Count, raw.ToArray()));
    }

    public GgufMetadataBuilder Set(string key, ReadOnlySpan<float> values) => Numbers(key, GgufValueType.Float32, values.Length, MemoryMarshal.AsBytes(values));

    public GgufMetadataBuilder Set(string key, ReadOnlySpan<int> values) => Numbers(key, GgufValueType.Int32, values.Length, MemoryMarshal.AsBytes(values));

    public GgufMetadataBuilder Set(string key, ReadOnlySpan<bool> values) => Numbers(key, GgufValueType.Bool, values.Length, MemoryMarshal.AsBytes(values));

    private GgufMetadataBuilder Number<T>(string key, GgufValueType type, T value)
        where T : unmanaged => Set(key, GgufValue.Scalar(type, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value))));

    private GgufMetadataBuilder Numbers(string key, GgufValueType type, int count, ReadOnlySpan<byte> raw) => Set(key, GgufValue.Array(type, count, raw.ToArray()));
}
