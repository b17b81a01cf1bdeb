using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 64 grid indices of a byte, then for each 32 values one word as in <see cref="IQ2_XXS"/>. x = d (1/2 + scale) / 2 level.</summary>
internal readonly partial struct IQ3_XXS : IBlockFormat
{
    internal static readonly Codebook Grid = new(GridCodes, [4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0], 4);

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
}
