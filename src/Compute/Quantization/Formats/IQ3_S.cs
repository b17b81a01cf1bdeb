using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 64 low bytes of grid indices, 8 bytes of ninth index bits, 32 bytes of signs, 8 scales of four bits. x = d (1 + 2 scale) level.</summary>
internal readonly partial struct IQ3_S : IBlockFormat
{
    internal static readonly Codebook Grid = new(GridCodes, [1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0], 4);

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
}
