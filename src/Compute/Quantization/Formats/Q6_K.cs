using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>128 bytes of low nibbles, 64 of upper bit pairs, 16 signed 8-bit scales, d f16. x = d scale (q - 32). Each half block of 128 values takes 64 and 32 of the bytes.</summary>
internal readonly struct Q6_K : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block.Slice(192, 16);
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[208..]);
        for (int half = 0; half < 2; half++)
        {
            ReadOnlySpan<byte> low = block.Slice(half * 64, 64);
            ReadOnlySpan<byte> high = block.Slice(128 + (half * 32), 32);
            for (int i = 0; i < 128; i++)
            {
                int nibble = (low[i % 64] >> (i / 64 * 4)) & 15;
                int pair = (high[i % 32] >> (i / 32 * 2)) & 3;
                float scale = d * (sbyte)scales[(half * 8) + (i / 16)];
                values[(half * 128) + i] = scale * ((nibble | (pair << 4)) - 32);
            }
        }
    }
}
