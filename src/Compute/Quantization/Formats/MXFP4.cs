namespace Lamina.Compute.Quantization.Formats;

/// <summary>OCP microscaling: a power-of-two exponent byte, then E2M1 nibbles placed as in <see cref="Q4_0"/>. x = 2^(e - 127) value.</summary>
internal readonly struct MXFP4 : IBlockFormat
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
}
