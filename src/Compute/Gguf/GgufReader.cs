using System.Buffers.Binary;

namespace Lamina.Compute.Gguf;

/// <summary>What stands before a file's tensor data.</summary>
/// <param name="DataOffset">Where the data section starts in the file.</param>
public sealed record GgufHeader(int Version, GgufMetadata Metadata, IReadOnlyList<GgufTensorInfo> Tensors, long DataOffset);

/// <summary>
/// Parses GGUF headers, versions 2 and 3, from bytes that nobody vouches for. Each count and length is compared with <see cref="GgufLimits"/> and the
/// bytes left before anything is allocated for it; all failures are <see cref="InvalidDataException"/>.
/// </summary>
public static class GgufReader
{
    private const uint Magic = 0x46554747;
    private const int MinimumKeyValueBytes = 8 + 4 + 1;
    private const int MinimumTensorBytes = 8 + 4 + 8 + 4 + 8;
    private const int DefaultAlignment = 32;

    /// <summary>Parses the header of a file of which <paramref name="head"/> is the start.</summary>
    /// <param name="fileLength">Bytes of the whole file; tensors must lie within.</param>
    public static GgufHeader Read(ReadOnlySpan<byte> head, long fileLength, GgufLimits? limits = null)
    {
        limits ??= GgufLimits.Default;
        var cursor = new GgufCursor(head[..Math.Min(head.Length, limits.HeaderBytes)]);
        int version = ReadVersion(ref cursor);
        // The tensor count stands before the pairs it cannot be checked against yet; it is, entry by entry, below.
        int tensorCount = cursor.Count("tensor count", MinimumTensorBytes, limits.Tensors);
        int pairCount = cursor.Count("key/value count", MinimumKeyValueBytes, limits.KeyValues);
        GgufMetadata metadata = ReadMetadata(ref cursor, pairCount, limits);
        int alignment = Alignment(metadata, limits);
        List<GgufTensorInfo> tensors = ReadTensors(ref cursor, tensorCount, alignment, limits);
        long dataOffset = (cursor.Position + (long)alignment - 1) / alignment * alignment;
        CheckExtents(tensors, fileLength - dataOffset);
        return new GgufHeader(version, metadata, tensors, dataOffset);
    }

    /// <summary>The metadata of a complete file in memory, such as a header sent without tensors.</summary>
    public static GgufMetadata ReadMetadata(ReadOnlySpan<byte> file, GgufLimits? limits = null) => Read(file, file.Length, limits).Metadata;

    /// <summary>Value of <c>general.alignment</c>, checked, or the format's default.</summary>
    internal static int Alignment(GgufMetadata metadata, GgufLimits limits)
    {
        int alignment = metadata.FindInt32("general.alignment", 0) ?? DefaultAlignment;
        if (alignment < 8 || alignment > limits.Alignment || !int.IsPow2(alignment))
        {
            throw new InvalidDataException($"general.alignment is {alignment}, expected a power of two from 8 to {limits.Alignment}");
        }

        return alignment;
    }

    private static int ReadVersion(ref GgufCursor cursor)
    {
        uint magic = cursor.UInt32("magic");
        if (magic != Magic)
        {
            throw new InvalidDataException($"not a GGUF file: it starts with 0x{BinaryPrimitives.ReverseEndianness(magic):x8}, expected 0x47475546 (\"GGUF\")");
        }

        uint version = cursor.UInt32("version");
        if (BinaryPrimitives.ReverseEndianness(version) is 1 or 2 or 3)
        {
            throw new InvalidDataException("this GGUF file is big-endian; only little-endian files are supported");
        }

        return version is 2 or 3 ? (int)version : throw new InvalidDataException($"GGUF version {version} is not supported, expected 2 or 3");
    }

    private static GgufMetadata ReadMetadata(ref GgufCursor cursor, int count, GgufLimits limits)
    {
        var pairs = new List<KeyValuePair<string, GgufValue>>();
        var keys = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            int start = cursor.Position;
            string key = cursor.Name($"key {i}", limits.KeyBytes);
            if (!keys.Add(key))
            {
                throw new InvalidDataException($"key '{Shown(key)}' at offset {start} stands twice");
            }

            pairs.Add(new(key, ReadValue(ref cursor, key, limits)));
        }

        return new GgufMetadata(pairs);
    }

    private static GgufValue ReadValue(ref GgufCursor cursor, string key, GgufLimits limits)
    {
        string what = $"value of '{Shown(key)}'";
        int start = cursor.Position;
        var type = (GgufValueType)cursor.UInt32($"type of '{Shown(key)}'");
        int size = GgufValueTypes.FixedBytes(type);
        if (size != 0)
        {
            return GgufValue.Scalar(type, cursor.Take(size, what));
        }

        return type switch
        {
            GgufValueType.String => GgufValue.Scalar(type, cursor.Bytes(what, limits.StringBytes)),
            GgufValueType.Array => ReadArray(ref cursor, what, limits),
            _ => throw new InvalidDataException($"{what} at offset {start} has type {(uint)type}, expected 0 to 12"),
        };
    }

    private static GgufValue ReadArray(ref GgufCursor cursor, string what, GgufLimits limits)
    {
        int start = cursor.Position;
        var elementType = (GgufValueType)cursor.UInt32($"element type of {what}");
        int size = GgufValueTypes.FixedBytes(elementType);
        if (size == 0 && elementType != GgufValueType.String)
        {
            string found = elementType == GgufValueType.Array ? "arrays inside an array" : $"elements of type {(uint)elementType}";
            throw new InvalidDataException($"{what} at offset {start} has {found}, expected numbers, booleans or strings");
        }

        int count = cursor.Count($"element count of {what}", size == 0 ? 8 : size, limits.ArrayElements);
        if (size != 0)
        {
            return GgufValue.Array(elementType, count, cursor.Take(checked(count * size), what).ToArray());
        }

        // Lengths are walked on a copy of the cursor, then all strings are kept as one piece.
        GgufCursor ahead = cursor;
        for (int i = 0; i < count; i++)
        {
            ahead.Bytes(what, limits.ArrayStringBytes);
        }

        return GgufValue.Array(elementType, count, cursor.Take(ahead.Position - cursor.Position, what).ToArray());
    }

    private static List<GgufTensorInfo> ReadTensors(ref GgufCursor cursor, int count, int alignment, GgufLimits limits)
    {
        var tensors = new List<GgufTensorInfo>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (int i = 0; i < count; i++)
        {
            int start = cursor.Position;
            GgufTensorInfo tensor = ReadTensor(ref cursor, i, alignment, limits);
            if (!names.Add(tensor.Name))
            {
                throw new InvalidDataException($"tensor '{tensor.Name}' at offset {start} stands twice");
            }

            tensors.Add(tensor);
        }

        return tensors;
    }

    private static GgufTensorInfo ReadTensor(ref GgufCursor cursor, int index, int alignment, GgufLimits limits)
    {
        string name = cursor.Name($"name of tensor {index}", limits.TensorNameBytes);
        int start = cursor.Position;
        uint dimensionCount = cursor.UInt32($"dimension count of tensor '{name}'");
        if (dimensionCount is < 1 or > 4)
        {
            throw new InvalidDataException($"tensor '{name}' at offset {start} has {dimensionCount} dimensions, expected 1 to 4");
        }

        var dimensions = new long[dimensionCount];
        for (int d = 0; d < dimensions.Length; d++)
        {
            ulong extent = cursor.UInt64($"dimension {d} of tensor '{name}'");
            if (extent is 0 or > long.MaxValue)
            {
                throw new InvalidDataException($"tensor '{name}' at offset {start} has {extent} as dimension {d}, expected 1 to 2^63-1");
            }

            dimensions[d] = (long)extent;
        }

        var type = (GgmlType)cursor.UInt32($"element type of tensor '{name}'");
        ulong offset = cursor.UInt64($"data offset of tensor '{name}'");
        GgmlTensorSize.Check(name, type, dimensions);
        if (offset > long.MaxValue || offset % (ulong)alignment != 0)
        {
            throw new InvalidDataException($"tensor '{name}' has data offset {offset}, expected a multiple of {alignment}");
        }

        return new GgufTensorInfo(name, type, dimensions, (long)offset);
    }

    /// <summary>Tensors lie within the data section and do not share bytes.</summary>
    private static void CheckExtents(List<GgufTensorInfo> tensors, long dataLength)
    {
        long end = 0;
        string before = "";
        foreach (GgufTensorInfo tensor in tensors.OrderBy(t => t.Offset))
        {
            long length = tensor.ByteLength;
            if (tensor.Offset > dataLength - length)
            {
                throw new InvalidDataException($"tensor '{tensor.Name}' needs bytes {tensor.Offset} to {(UInt128)tensor.Offset + (UInt128)length} of the data section, which has {Math.Max(0, dataLength)}: the file is damaged or cut short");
            }

            if (tensor.Offset < end)
            {
                throw new InvalidDataException($"tensor '{tensor.Name}' at data offset {tensor.Offset} overlaps '{before}', which ends at {end}");
            }

            end = tensor.Offset + length;
            before = tensor.Name;
        }
    }

    private static string Shown(string key) => key.Length <= 80 ? key : key[..80] + "…";
}
