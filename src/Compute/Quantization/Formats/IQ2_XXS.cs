using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, then for each 32 values four grid indices of a byte and one word: four times seven signs, and a 4-bit scale on top. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_XXS : IBlockFormat
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

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
}
