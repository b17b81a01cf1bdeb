using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>16 bytes of scale (low half) and minimum (high half) nibbles, one for each 16 values; 64 bytes of 2-bit values; d and dmin f16. x = d scale q - dmin min. Each 32 bytes hold 128 values, 32 per bit pair.</summary>
internal readonly struct Q2_K : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block[..16];
        ReadOnlySpan<byte> quants = block.Slice(16, 64);
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[80..]);
        float dmin = (float)BinaryPrimitives.ReadHalfLittleEndian(block[82..]);
        for (int i = 0; i < 256; i++)
        {
            int scale = scales[i / 16];
            int q = (quants[(i / 128 * 32) + (i % 32)] >> (i / 32 % 4 * 2)) & 3;
            values[i] = (d * (scale & 15) * q) - (dmin * (scale >> 4));
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<byte> levels = stackalloc byte[256];
        Span<byte> scales = stackalloc byte[16];
        Span<byte> minimums = stackalloc byte[16];
        (Half d, Half dmin) = AffineGroups.Quantize(new AffineSearch(3, -0.5f, 0.1f, 15, AbsoluteError: true), values, importance, 15, scales, minimums, levels);
        BinaryPrimitives.WriteHalfLittleEndian(block[80..], d);
        BinaryPrimitives.WriteHalfLittleEndian(block[82..], dmin);
        for (int group = 0; group < 16; group++)
        {
            block[group] = (byte)(scales[group] | (minimums[group] << 4));
        }

        for (int i = 0; i < 256; i++)
        {
            block[16 + (i / 128 * 32) + (i % 32)] |= (byte)(levels[i] << (i / 32 % 4 * 2));
        }
    }
}
