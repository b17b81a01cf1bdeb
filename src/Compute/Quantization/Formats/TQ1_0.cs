using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Ternary values, five to a byte (32 + 16 bytes) and four to a byte (4 bytes), then d f16. A byte is a base-3 fraction of 256: its digits come out from the top by multiplying. x = d (digit - 1).</summary>
internal readonly struct TQ1_0 : IBlockQuantizer
{
    private static ReadOnlySpan<byte> PowersOf3 => [1, 3, 9, 27, 81];

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[52..]);
        Digits(block[..32], 5, d, values[..160]);
        Digits(block.Slice(32, 16), 5, d, values.Slice(160, 80));
        Digits(block.Slice(48, 4), 4, d, values.Slice(240, 16));
    }

    /// <summary>The n-th digits of all bytes stand together.</summary>
    private static void Digits(ReadOnlySpan<byte> bytes, int count, float d, Span<float> values)
    {
        for (int n = 0; n < count; n++)
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                int digit = (byte)(bytes[i] * PowersOf3[n]) * 3 >> 8;
                values[(n * bytes.Length) + i] = (digit - 1) * d;
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        float d = MathF.Abs(ScaleFit.Largest(values));
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block[52..], (Half)d);
        Pack(values[..160], 5, inverse, block[..32]);
        Pack(values.Slice(160, 80), 5, inverse, block.Slice(32, 16));
        Pack(values.Slice(240, 16), 4, inverse, block.Slice(48, 4));
    }

    /// <summary>The inverse of <see cref="Digits"/>: five digits make a number below 243, stored as the smallest byte of at least 256/243 of it.</summary>
    private static void Pack(ReadOnlySpan<float> values, int count, float inverse, Span<byte> bytes)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            int number = 0;
            for (int n = 0; n < 5; n++)
            {
                int digit = n < count ? 1 + (int)MathF.Round(values[(n * bytes.Length) + i] * inverse, MidpointRounding.AwayFromZero) : 0;
                number = (number * 3) + digit;
            }

            bytes[i] = (byte)(((number * 256) + 242) / 243);
        }
    }
}
