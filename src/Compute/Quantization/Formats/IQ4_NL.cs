using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, then nibbles placed as in <see cref="Q4_0"/> that index 16 unevenly spaced levels. x = d level.</summary>
internal readonly struct IQ4_NL : IBlockQuantizer
{
    /// <summary>Denser around zero, where weights are.</summary>
    internal static ReadOnlySpan<sbyte> Levels => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> nibbles = block.Slice(2, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = d * Levels[nibbles[i] & 15];
            values[i + 16] = d * Levels[nibbles[i] >> 4];
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[32];
        ErrorWeights.Squared(values, importance, weights);
        float d = ScaleFit.Best<UnevenLevels>(values, weights);
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        Pack(values, d, block.Slice(2, 16));
    }

    /// <summary>Nibbles of the levels nearest to 32 values.</summary>
    internal static void Pack(ReadOnlySpan<float> values, float scale, Span<byte> nibbles)
    {
        float inverse = scale != 0 ? 1 / scale : 0;
        for (int i = 0; i < 16; i++)
        {
            nibbles[i] = (byte)(UnevenLevels.NearestIndex(values[i] * inverse) | (UnevenLevels.NearestIndex(values[i + 16] * inverse) << 4));
        }
    }
}
