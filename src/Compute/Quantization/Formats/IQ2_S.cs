using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 32 low bytes of grid indices, 32 bytes of signs, 8 bytes of upper index pairs, 16 scales of four bits. x = d (1/2 + scale) / 4 level.</summary>
internal readonly partial struct IQ2_S : IBlockFormat
{
    internal static readonly Codebook Grid = new(GridCodes, [8, 25, 43, 0], 8);

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
}
