using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>As <see cref="Q4_K"/> with 32 bytes of fifth bits before the nibbles: bit k of byte i belongs to value 32 k + i.</summary>
internal readonly struct Q5_K : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float dmin = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        ReadOnlySpan<byte> fifth = block.Slice(16, 32);
        ReadOnlySpan<byte> quants = block.Slice(48, 128);
        for (int group = 0; group < 8; group++)
        {
            (int scale, int min) = KScales.Get(block.Slice(4, 12), group);
            float dScale = d * scale;
            float dMin = dmin * min;
            ReadOnlySpan<byte> bytes = quants.Slice(group / 2 * 32, 32);
            for (int i = 0; i < 32; i++)
            {
                int q = ((bytes[i] >> (group % 2 * 4)) & 15) | ((fifth[i] >> group) & 1) << 4;
                values[(group * 32) + i] = (dScale * q) - dMin;
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<byte> levels = stackalloc byte[256];
        KScales.Quantize(values, importance, new AffineSearch(31, -0.5f, 0.1f, 15), block, levels);
        for (int i = 0; i < 256; i++)
        {
            block[48 + (i / 64 * 32) + (i % 32)] |= (byte)((levels[i] & 15) << (i / 32 % 2 * 4));
            block[16 + (i % 32)] |= (byte)(levels[i] >> 4 << (i / 32));
        }
    }
}
