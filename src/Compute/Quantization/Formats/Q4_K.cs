using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d and dmin f16, eight 6-bit scales and minimums in 12 bytes, 128 bytes of nibbles: each 32 bytes hold 64 values, first the low halves, then the high ones. x = d scale q - dmin min.</summary>
internal readonly struct Q4_K : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float dmin = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        ReadOnlySpan<byte> quants = block.Slice(16, 128);
        for (int group = 0; group < 8; group++)
        {
            (int scale, int min) = KScales.Get(block.Slice(4, 12), group);
            float dScale = d * scale;
            float dMin = dmin * min;
            ReadOnlySpan<byte> bytes = quants.Slice(group / 2 * 32, 32);
            for (int i = 0; i < 32; i++)
            {
                values[(group * 32) + i] = (dScale * ((bytes[i] >> (group % 2 * 4)) & 15)) - dMin;
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<byte> levels = stackalloc byte[256];
        KScales.Quantize(values, importance, new AffineSearch(15, -1, 0.1f, 20), block, levels);
        for (int i = 0; i < 256; i++)
        {
            block[16 + (i / 64 * 32) + (i % 32)] |= (byte)(levels[i] << (i / 32 % 2 * 4));
        }
    }
}
