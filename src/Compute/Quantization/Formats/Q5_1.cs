using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale and minimum f16, 32 fifth bits in order, then nibbles placed as in <see cref="Q4_0"/>. x = d q + m.</summary>
internal readonly struct Q5_1 : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        ReadOnlySpan<byte> nibbles = block.Slice(8, 16);
        for (int i = 0; i < 16; i++)
        {
            int low = (nibbles[i] & 15) | (int)((fifth >> i) & 1) << 4;
            int high = (nibbles[i] >> 4) | (int)((fifth >> (i + 16)) & 1) << 4;
            values[i] = (low * d) + m;
            values[i + 16] = (high * d) + m;
        }
    }
}
