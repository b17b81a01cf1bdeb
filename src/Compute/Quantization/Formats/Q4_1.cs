using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale and minimum f16, then nibbles placed as in <see cref="Q4_0"/>. x = d q + m.</summary>
internal readonly struct Q4_1 : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        ReadOnlySpan<byte> nibbles = block.Slice(4, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = ((nibbles[i] & 15) * d) + m;
            values[i + 16] = ((nibbles[i] >> 4) * d) + m;
        }
    }
}
