using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, then for each 32 values four grid indices of a byte and one word: four times seven signs, and a 4-bit scale on top. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_XXS : IBlockQuantizer
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

    private static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 8, levels: 3, shells: 2));

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        for (int group = 0; group < 8; group++)
        {
            ReadOnlySpan<byte> indices = block.Slice(2 + (group * 8), 4);
            uint word = BinaryPrimitives.ReadUInt32LittleEndian(block[(6 + (group * 8))..]);
            float scale = d * (0.5f + (word >> 28)) * 0.25f;
            for (int i = 0; i < 4; i++)
            {
                int signs = Codebook.EvenSigns((int)(word >> (7 * i)) & 127);
                Grid.Decode(indices[i], scale, signs, values.Slice((group * 32) + (i * 8), 8));
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        Span<float> magnitudes = stackalloc float[32];
        Span<float> scales = stackalloc float[8];
        Span<uint> words = stackalloc uint[8];
        Span<int> indices = stackalloc int[4];
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
            scales[group] = CodebookFit.Best(Search.Value, new CodebookSearch(2, 6, 0.1f, RefineAll: true, FitFirst: true), magnitudes, w, indices);
            for (int i = 0; i < 4; i++)
            {
                block[2 + (group * 8) + i] = (byte)indices[i];
            }
        }

        Span<int> levels = stackalloc int[8];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)OddScales.Quantize(scales, 15, levels));
        for (int group = 0; group < 8; group++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(block[(6 + (group * 8))..], words[group] | ((uint)levels[group] << 28));
        }
    }
}
