using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 low bytes of grid indices, then for each 32 values one word: four upper index triples, a 3-bit scale and the sign of the offset. x = d (2 scale + 1) (level ± 1/8).</summary>
internal readonly partial struct IQ1_S : IBlockQuantizer
{
    internal const float Offset = 0.125f;
    internal static readonly Codebook Grid = new(GridCodes, [-1, 0, 1, 0], 8);

    internal static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 8, levels: 3, shells: 3));

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

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> scales = stackalloc float[8];
        Span<int> indices = stackalloc int[4];
        Span<int> words = stackalloc int[8];
        for (int group = 0; group < 8; group++)
        {
            (scales[group], int offsets) = TernaryFit.Best(Search.Value, values.Slice(group * 32, 32), weights.Slice(group * 32, 32), runs: 1, indices);
            words[group] = offsets << 15;
            for (int i = 0; i < 4; i++)
            {
                block[2 + (group * 4) + i] = (byte)indices[i];
                words[group] |= indices[i] >> 8 << (3 * i);
            }
        }

        Span<int> levels = stackalloc int[8];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(OddScales.Quantize(scales, 7, levels) * ScaleCorrection));
        for (int group = 0; group < 8; group++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(block[(34 + (group * 2))..], (ushort)(words[group] | (levels[group] << 12)));
        }
    }

    /// <summary>Makes up for what the codebook takes from the values' spread; found by trial.</summary>
    private const float ScaleCorrection = 1.125f;
}
