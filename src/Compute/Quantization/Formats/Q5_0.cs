using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, 32 fifth bits in order, then nibbles placed as in <see cref="Q4_0"/>. x = d (q - 16).</summary>
internal readonly struct Q5_0 : IBlockFormat
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        ReadOnlySpan<byte> nibbles = block.Slice(6, 16);
        for (int i = 0; i < 16; i++)
        {
            int low = (nibbles[i] & 15) | (int)((fifth >> i) & 1) << 4;
            int high = (nibbles[i] >> 4) | (int)((fifth >> (i + 16)) & 1) << 4;
            values[i] = (low - 16) * d;
            values[i + 16] = (high - 16) * d;
        }
    }
}
