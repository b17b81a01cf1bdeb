using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 64 grid indices of a byte, then for each 32 values one word as in <see cref="IQ2_XXS"/>. x = d (1/2 + scale) / 2 level.</summary>
internal readonly partial struct IQ3_XXS : IBlockQuantizer
{
    internal static readonly Codebook Grid = new(GridCodes, [4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0], 4);

    private static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 4, levels: 8, shells: 2));

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> indices = block.Slice(2, 64);
        for (int i = 0; i < 64; i++)
        {
            uint word = BinaryPrimitives.ReadUInt32LittleEndian(block[(66 + (i / 8 * 4))..]);
            float scale = d * (0.5f + (word >> 28)) * 0.5f;
            int signs = Codebook.EvenSigns((int)(word >> (i % 8 / 2 * 7)) & 127) >> (i % 2 * 4);
            Grid.Decode(indices[i], scale, signs, values.Slice(i * 4, 4));
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> magnitudes = stackalloc float[32];
        Span<float> scales = stackalloc float[8];
        Span<uint> words = stackalloc uint[8];
        Span<int> indices = stackalloc int[8];
        for (int group = 0; group < 8; group++)
        {
            ReadOnlySpan<float> x = values.Slice(group * 32, 32);
            ReadOnlySpan<float> w = weights.Slice(group * 32, 32);
            uint signs = 0;
            for (int i = 0; i < 4; i++)
            {
                signs |= (uint)SignBits.SplitEven(x.Slice(i * 8, 8), w.Slice(i * 8, 8), magnitudes[(i * 8)..]) << (7 * i);
            }

            words[group] = signs;
            scales[group] = CodebookFit.Best(Search.Value, new CodebookSearch(7, 15, 0.2f), magnitudes, w, indices);
            for (int i = 0; i < 8; i++)
            {
                block[2 + (group * 8) + i] = (byte)indices[i];
            }
        }

        Span<int> levels = stackalloc int[8];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)(OddScales.Quantize(scales, 15, levels) * ScaleCorrection));
        for (int group = 0; group < 8; group++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(block[(66 + (group * 4))..], words[group] | ((uint)levels[group] << 28));
        }
    }

    /// <summary>The grid's top level 62 is a little above 15 times half the first, 4, for which scales are fitted; found by trial.</summary>
    private const float ScaleCorrection = 1.0125f;
}
