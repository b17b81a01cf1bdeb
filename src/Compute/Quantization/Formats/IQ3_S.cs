using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 64 low bytes of grid indices, 8 bytes of ninth index bits, 32 bytes of signs, 8 scales of four bits. x = d (1 + 2 scale) level.</summary>
internal readonly partial struct IQ3_S : IBlockQuantizer
{
    internal static readonly Codebook Grid = new(GridCodes, [1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0], 4);

    private static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 4, levels: 8, shells: 3));

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> low = block.Slice(2, 64);
        ReadOnlySpan<byte> ninth = block.Slice(66, 8);
        ReadOnlySpan<byte> signs = block.Slice(74, 32);
        ReadOnlySpan<byte> scales = block.Slice(106, 4);
        for (int i = 0; i < 64; i++)
        {
            int index = low[i] | (((ninth[i / 8] >> (i % 8)) & 1) << 8);
            float scale = d * (1 + (2 * ((scales[i / 16] >> (i / 8 % 2 * 4)) & 15)));
            Grid.Decode(index, scale, signs[i / 2] >> (i % 2 * 4), values.Slice(i * 4, 4));
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> magnitudes = stackalloc float[32];
        Span<float> scales = stackalloc float[8];
        Span<int> indices = stackalloc int[8];
        for (int group = 0; group < 8; group++)
        {
            for (int i = 0; i < 4; i++)
            {
                block[74 + (group * 4) + i] = (byte)SignBits.Split(values.Slice((group * 32) + (i * 8), 8), magnitudes[(i * 8)..]);
            }

            scales[group] = CodebookFit.Best(Search.Value, new CodebookSearch(7, 9, 0.2f, RefineAll: true), magnitudes, weights.Slice(group * 32, 32), indices);
            for (int i = 0; i < 8; i++)
            {
                block[2 + (group * 8) + i] = (byte)indices[i];
                block[66 + group] |= (byte)(indices[i] >> 8 << i);
            }
        }

        Span<int> levels = stackalloc int[8];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(OddScales.Quantize(scales, 15, levels) * ScaleCorrection));
        for (int group = 0; group < 8; group++)
        {
            block[106 + (group / 2)] |= (byte)(levels[group] << (group % 2 * 4));
        }
    }

    /// <summary>Makes up for scales that were clipped or rounded down; found by trial.</summary>
    private const float ScaleCorrection = 1.033f;
}
