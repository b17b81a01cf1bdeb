using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels.Attention;

/// <summary>
/// Where keys and values of one layer lie inside a block of 32 positions: the keys of every head, two groups each, then the values of every head,
/// 32 rows each.
/// </summary>
internal readonly record struct KvLayout(GgmlType Type, int KvHeads, int KeyLength, int ValueLength)
{
    /// <summary>Positions per block.</summary>
    public const int BlockPositions = 32;

    /// <summary>Positions whose keys lie interleaved.</summary>
    public const int GroupPositions = 16;

    public int KeyGroupBytes { get; } = Type switch
    {
        GgmlType.F16 => KvF16.KeyGroupBytes(KeyLength),
        GgmlType.Q8_0 => KvQ8_0.KeyGroupBytes(KeyLength),
        GgmlType.Q4_0 => KvQ4_0.KeyGroupBytes(KeyLength),
        _ => throw Unsupported(Type),
    };

    public int ValueBytes { get; } = Type switch
    {
        GgmlType.F16 => KvF16.ValueBytes(ValueLength),
        GgmlType.Q8_0 => KvQ8_0.ValueBytes(ValueLength),
        GgmlType.Q4_0 => KvQ4_0.ValueBytes(ValueLength),
        _ => throw Unsupported(Type),
    };

    /// <summary>Offset of a head's keys in a block.</summary>
    public long KeyOffset(int head) => (long)head * KeyGroupBytes * (BlockPositions / GroupPositions);

    /// <summary>Offset of a head's values in a block.</summary>
    public long ValueOffset(int head) => KeyOffset(KvHeads) + ((long)head * ValueBytes * BlockPositions);

    /// <summary>Bytes of a block, rounded up so that every block starts on a cache line.</summary>
    public long BlockBytes => (ValueOffset(KvHeads) + 63) / 64 * 64;

    private static NotSupportedException Unsupported(GgmlType type) => new($"a key/value cache of type {type} is not supported; F16, Q8_0 and Q4_0 are");
}
