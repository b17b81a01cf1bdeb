using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, then 16 bytes of nibbles: value i in the low half of byte i, value i + 16 in the high half. x = d (q - 8).</summary>
internal readonly struct Q4_0 : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> nibbles = block.Slice(2, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = ((nibbles[i] & 15) - 8) * d;
            values[i + 16] = ((nibbles[i] >> 4) - 8) * d;
        }
    }
}
