using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 low bytes of grid indices, then for each 32 values one word: four upper index triples, a 3-bit scale and the sign of the offset. x = d (2 scale + 1) (level ± 1/8).</summary>
internal readonly partial struct IQ1_S : IBlockFormat
{
    internal const float Offset = 0.125f;
    internal static readonly Codebook Grid = new(GridCodes, [-1, 0, 1, 0], 8);

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (int i = 0; i < 32; i++)
        {
            int word = BinaryPrimitives.ReadUInt16LittleEndian(block[(34 + (i / 4 * 2))..]);
            float scale = d * ((2 * ((word >> 12) & 7)) + 1);
            float offset = (word & 0x8000) != 0 ? -Offset : Offset;
            int index = block[2 + i] | (((word >> (i % 4 * 3)) & 7) << 8);
            Decode(index, scale, offset, values.Slice(i * 8, 8));
        }
    }

    internal static void Decode(int index, float scale, float offset, Span<float> y)
    {
        ReadOnlySpan<sbyte> group = Grid[index];
        for (int i = 0; i < group.Length; i++)
        {
            y[i] = scale * (group[i] + offset);
        }
    }
}
