namespace Lamina.Compute.Quantization.Formats;

/// <summary>OCP microscaling: a power-of-two exponent byte, then E2M1 nibbles placed as in <see cref="Q4_0"/>. x = 2^(e - 127) value.</summary>
internal readonly struct MXFP4 : IBlockQuantizer
{
    /// <summary>Twice the E2M1 values, to stay integers; <see cref="HalfScale"/> makes up for it.</summary>
    internal static ReadOnlySpan<sbyte> Levels => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = HalfScale(block[0]);
        ReadOnlySpan<byte> nibbles = block.Slice(1, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = Levels[nibbles[i] & 15] * d;
            values[i + 16] = Levels[nibbles[i] >> 4] * d;
        }
    }

    /// <summary>2^(e - 128), subnormal for the two smallest exponents.</summary>
    internal static float HalfScale(byte exponent) =>
        BitConverter.UInt32BitsToSingle(exponent < 2 ? 0x0020_0000u << exponent : (uint)(exponent - 1) << 23);

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        float largest = MathF.Abs(ScaleFit.Largest(values));
        // The largest value falls in [4, 8) times 2^(e - 127), of which 6 is the greatest that can be written.
        int exponent = largest > 0 ? Math.Clamp(MathF.ILogB(largest) - 2 + 127, 0, 254) : 0;
        float d = HalfScale((byte)exponent);
        block[0] = (byte)exponent;
        for (int i = 0; i < 16; i++)
        {
            block[1 + i] = (byte)(Nearest(values[i], d) | (Nearest(values[i + 16], d) << 4));
        }
    }

    private static int Nearest(float x, float d)
    {
        int nearest = 0;
        for (int i = 1; i < 16; i++)
        {
            if (MathF.Abs((Levels[i] * d) - x) < MathF.Abs((Levels[nearest] * d) - x))
            {
                nearest = i;
            }
        }

        return nearest;
    }
}
