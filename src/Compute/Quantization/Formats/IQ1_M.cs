using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>
/// 32 low bytes of grid indices, 32 nibbles of an upper index triple and the sign of the offset, then four words: each holds four 3-bit scales, and
/// their top nibbles together d as f16. x = d (2 scale + 1) (level ± 1/8).
/// </summary>
internal readonly struct IQ1_M : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> high = block.Slice(32, 16);
        ReadOnlySpan<byte> scales = block.Slice(48, 8);
        float d = (float)Scale(scales);
        for (int i = 0; i < 32; i++)
        {
            // One scale for every 16 values: two groups.
            int word = BinaryPrimitives.ReadUInt16LittleEndian(scales[(i / 8 * 2)..]);
            float scale = d * ((2 * ((word >> (i / 2 % 4 * 3)) & 7)) + 1);
            int nibble = high[i / 2] >> (i % 2 * 4);
            float offset = (nibble & 8) != 0 ? -IQ1_S.Offset : IQ1_S.Offset;
            IQ1_S.Decode(block[i] | ((nibble & 7) << 8), scale, offset, values.Slice(i * 8, 8));
        }
    }

    private static Half Scale(ReadOnlySpan<byte> scales)
    {
        int bits = 0;
        for (int i = 0; i < 4; i++)
        {
            bits |= scales[(2 * i) + 1] >> 4 << (4 * i);
        }

        return BitConverter.UInt16BitsToHalf((ushort)bits);
    }
}
