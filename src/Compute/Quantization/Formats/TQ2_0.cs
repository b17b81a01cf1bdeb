using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Ternary values in bit pairs: each 32 bytes hold 128 values, 32 per pair; then d f16. x = d (q - 1).</summary>
internal readonly struct TQ2_0 : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[64..]);
        for (int i = 0; i < 256; i++)
        {
            int q = (block[(i / 128 * 32) + (i % 32)] >> (i / 32 % 4 * 2)) & 3;
            values[i] = (q - 1) * d;
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        float d = MathF.Abs(ScaleFit.Largest(values));
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block[64..], (Half)d);
        for (int i = 0; i < 256; i++)
        {
            int q = 1 + (int)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
            block[(i / 128 * 32) + (i % 32)] |= (byte)(q << (i / 32 % 4 * 2));
        }
    }
}
