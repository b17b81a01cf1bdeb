using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale and minimum f16, then nibbles placed as in <see cref="Q4_0"/>. x = d q + m.</summary>
internal readonly struct Q4_1 : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        ReadOnlySpan<byte> nibbles = block.Slice(4, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = ((nibbles[i] & 15) * d) + m;
            values[i + 16] = ((nibbles[i] >> 4) * d) + m;
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        (float d, float m) = importance.IsEmpty ? Range(values) : Search(values, importance);
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)m);
        for (int i = 0; i < 16; i++)
        {
            int low = Math.Clamp((int)(((values[i] - m) * inverse) + 0.5f), 0, 15);
            int high = Math.Clamp((int)(((values[i + 16] - m) * inverse) + 0.5f), 0, 15);
            block[4 + i] = (byte)(low | (high << 4));
        }
    }

    private static (float Scale, float Minimum) Range(ReadOnlySpan<float> values)
    {
        float low = float.MaxValue;
        float high = -float.MaxValue;
        foreach (float value in values)
        {
            low = MathF.Min(low, value);
            high = MathF.Max(high, value);
        }

        return ((high - low) / 15, low);
    }

    private static (float Scale, float Minimum) Search(ReadOnlySpan<float> values, ReadOnlySpan<float> importance)
    {
        Span<float> weights = stackalloc float[32];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        return AffineFit.Best(values, weights, AffineSearch.Fine(15));
    }
}
