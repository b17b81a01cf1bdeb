using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 low bytes of grid indices, 32 bytes of signs, 8 bytes of upper index pairs, 16 scales of four bits. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_S : IBlockQuantizer
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

    private static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 8, levels: 3, shells: 1));

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> low = block.Slice(2, 32);
        ReadOnlySpan<byte> signs = block.Slice(34, 32);
        ReadOnlySpan<byte> high = block.Slice(66, 8);
        ReadOnlySpan<byte> scales = block.Slice(74, 8);
        for (int i = 0; i < 32; i++)
        {
            int index = low[i] | (((high[i / 4] >> (i % 4 * 2)) & 3) << 8);
            float scale = d * (0.5f + ((scales[i / 4] >> (i / 2 % 2 * 4)) & 15)) * 0.25f;
            Grid.Decode(index, scale, signs[i], values.Slice(i * 8, 8));
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> magnitudes = stackalloc float[16];
        Span<float> scales = stackalloc float[16];
        Span<int> indices = stackalloc int[2];
        for (int group = 0; group < 16; group++)
        {
            for (int i = 0; i < 2; i++)
            {
                block[34 + (group * 2) + i] = (byte)SignBits.Split(values.Slice((group * 16) + (i * 8), 8), magnitudes[(i * 8)..]);
            }

            scales[group] = CodebookFit.Best(Search.Value, new CodebookSearch(2, 9, 0.1f), magnitudes, weights.Slice(group * 16, 16), indices);
            for (int i = 0; i < 2; i++)
            {
                int at = (group * 2) + i;
                block[2 + at] = (byte)indices[i];
                block[66 + (at / 4)] |= (byte)(indices[i] >> 8 << (at % 4 * 2));
            }
        }

        Span<int> levels = stackalloc int[16];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(OddScales.Quantize(scales, 15, levels) * ScaleCorrection));
        for (int group = 0; group < 16; group++)
        {
            block[74 + (group / 2)] |= (byte)(levels[group] << (group % 2 * 4));
        }
    }

    /// <summary>The grid's levels 25 and 43 are a little above 3 and 5 times the first, 8, for which scales are fitted.</summary>
    private const float ScaleCorrection = 0.9875f;
}
