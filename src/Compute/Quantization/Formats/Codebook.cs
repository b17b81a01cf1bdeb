using System.Numerics;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>A grid of value groups that a block format indexes, decoded from a compact table of level numbers.</summary>
internal sealed class Codebook
{
    private readonly sbyte[] values;

    /// <param name="codes">One number per group, its level numbers packed from the lowest bits up.</param>
    /// <param name="levels">What a level number stands for.</param>
    /// <param name="groupLength">Values per group: 8 (two bits each) or 4 (four bits each).</param>
    public Codebook(ReadOnlySpan<ushort> codes, ReadOnlySpan<sbyte> levels, int groupLength)
    {
        GroupLength = groupLength;
        Count = codes.Length;
        values = new sbyte[codes.Length * groupLength];
        int bits = 16 / groupLength;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = levels[(codes[i / groupLength] >> (i % groupLength * bits)) & ((1 << bits) - 1)];
        }
    }

    public int Count { get; }

    public int GroupLength { get; }

    public ReadOnlySpan<sbyte> this[int index] => values.AsSpan(index * GroupLength, GroupLength);

    /// <summary>Eight sign bits from the seven stored: the eighth makes the number of minus signs even.</summary>
    public static int EvenSigns(int sevenBits) => sevenBits | ((BitOperations.PopCount((uint)sevenBits) & 1) << 7);

    /// <summary>y[i] = scale level[i], negated where bit i of <paramref name="signs"/> is set.</summary>
    public void Decode(int index, float scale, int signs, Span<float> y)
    {
        ReadOnlySpan<sbyte> group = this[index];
        for (int i = 0; i < group.Length; i++)
        {
            float value = scale * group[i];
            y[i] = ((signs >> i) & 1) != 0 ? -value : value;
        }
    }
}
