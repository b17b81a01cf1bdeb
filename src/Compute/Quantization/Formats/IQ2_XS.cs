using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 words of nine bits of grid index and seven signs, 16 scales of four bits. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_XS : IBlockQuantizer
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

    private static readonly Lazy<GridSearch> Search = new(static () => new GridSearch(GridCodes, groupLength: 8, levels: 3, shells: 2));

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> scales = block.Slice(66, 8);
        for (int i = 0; i < 32; i++)
        {
            int word = BinaryPrimitives.ReadUInt16LittleEndian(block[(2 + (i * 2))..]);
            float scale = d * (0.5f + ((scales[i / 4] >> (i / 2 % 2 * 4)) & 15)) * 0.25f;
            Grid.Decode(word & 511, scale, Codebook.EvenSigns(word >> 9), values.Slice(i * 8, 8));
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        Span<float> magnitudes = stackalloc float[16];
        Span<float> scales = stackalloc float[16];
        Span<int> indices = stackalloc int[2];
        for (int group = 0; group < 16; group++)
        {
            ReadOnlySpan<float> x = values.Slice(group * 16, 16);
            ReadOnlySpan<float> w = weights.Slice(group * 16, 16);
            int low = SignBits.SplitEven(x[..8], w[..8], magnitudes);
            int high = SignBits.SplitEven(x[8..], w[8..], magnitudes[8..]);
            scales[group] = CodebookFit.Best(Search.Value, new CodebookSearch(2, 9, 0.1f), magnitudes, w, indices);
            BinaryPrimitives.WriteUInt16LittleEndian(block[(2 + (group * 4))..], (ushort)(indices[0] | (low << 9)));
            BinaryPrimitives.WriteUInt16LittleEndian(block[(4 + (group * 4))..], (ushort)(indices[1] | (high << 9)));
        }

        Span<int> levels = stackalloc int[16];
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)OddScales.Quantize(scales, 15, levels));
        for (int group = 0; group < 16; group++)
        {
            block[66 + (group / 2)] |= (byte)(levels[group] << (group % 2 * 4));
        }
    }
}
