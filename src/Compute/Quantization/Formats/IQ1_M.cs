using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>
/// 32 low bytes of grid indices, 32 nibbles of an upper index triple and the sign of the offset, then four words: each holds four 3-bit scales, and
/// their top nibbles together d as f16. x = d (2 scale + 1) (level ± 1/8).
/// </summary>
internal readonly struct IQ1_M : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> high = block.Slice(32, 16);
        ReadOnlySpan<byte> scales = block.Slice(48, 8);
        float d = (float)Scale(scales);
        for (int i = 0; i < 32; i++)
        {
            // One scale for every 16 values: two groups.
            int word = BinaryPrimitives.ReadUInt16LittleEndian(scales[(i / 8 * 2)..]);
            float scale = d * ((2 * ((word >> (i / 2 % 4 * 3)) & 7)) + 1);
            int nibble = high[i / 2] >> (i % 2 * 4);
            float offset = (nibble & 8) != 0 ? -IQ1_S.Offset : IQ1_S.Offset;
            IQ1_S.Decode(block[i] | ((nibble & 7) << 8), scale, offset, values.Slice(i * 8, 8));
        }
    }

    private static Half Scale(ReadOnlySpan<byte> scales)
    {
        int bits = 0;
        for (int i = 0; i < 4; i++)
        {
            bits |= scales[(2 * i) + 1] >> 4 << (4 * i);
        }

        return BitConverter.UInt16BitsToHalf((ushort)bits);
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        GridSearch grid = IQ1_S.Search.Value;
        Span<float> scales = stackalloc float[16];
        Span<int> offsets = stackalloc int[16];
        Span<int> indices = stackalloc int[32];
        for (int group = 0; group < 16; group++)
        {
            (scales[group], offsets[group]) = TernaryFit.Best(grid, values.Slice(group * 16, 16), weights.Slice(group * 16, 16), runs: 2, indices.Slice(group * 2, 2));
        }

        Span<int> levels = stackalloc int[16];
        float d = OddScales.Quantize(scales, 7, levels);
        d = Refit(values, weights, grid, indices, offsets, levels) ?? d;
        int bits = BitConverter.HalfToUInt16Bits((Half)(d * ScaleCorrection));
        for (int i = 0; i < 32; i++)
        {
            block[i] = (byte)indices[i];
            block[32 + (i / 2)] |= (byte)(((indices[i] >> 8) | (((offsets[i / 2] >> (i % 2)) & 1) << 3)) << (i % 2 * 4));
        }

        for (int word = 0; word < 4; word++)
        {
            int packed = ((bits >> (4 * word)) & 15) << 12;
            for (int i = 0; i < 4; i++)
            {
                packed |= levels[(word * 4) + i] << (3 * i);
            }

            BinaryPrimitives.WriteUInt16LittleEndian(block[(48 + (word * 2))..], (ushort)packed);
        }
    }

    /// <summary>Makes up for what the codebook takes from the values' spread; found by trial.</summary>
    private const float ScaleCorrection = 1.1125f;

    /// <summary>The best unit for all groups together, now that their scales are rounded; null when the values are zeros.</summary>
    private static float? Refit(
        ReadOnlySpan<float> values, ReadOnlySpan<float> weights, GridSearch grid, ReadOnlySpan<int> indices, ReadOnlySpan<int> offsets, ReadOnlySpan<int> levels)
    {
        Span<float> run = stackalloc float[3];
        float sumXQ = 0;
        float sumQ2 = 0;
        for (int i = 0; i < 256; i++)
        {
            TernaryFit.Values(offsets[i / 16], i / 8 % 2, run);
            float q = run[grid.LevelAt(grid.CodeOf(indices[i / 8]), i % 8)] * ((2 * levels[i / 16]) + 1);
            sumXQ += weights[i] * q * values[i];
            sumQ2 += weights[i] * q * q;
        }

        return sumQ2 > 0 ? sumXQ / sumQ2 : null;
    }
}
