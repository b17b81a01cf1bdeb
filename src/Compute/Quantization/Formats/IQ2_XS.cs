using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 words of nine bits of grid index and seven signs, 16 scales of four bits. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_XS : IBlockFormat
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

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
}
