using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale and minimum f16, 32 fifth bits in order, then nibbles placed as in <see cref="Q4_0"/>. x = d q + m.</summary>
internal readonly struct Q5_1 : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        float m = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[4..]);
        ReadOnlySpan<byte> nibbles = block.Slice(8, 16);
        for (int i = 0; i < 16; i++)
        {
            int low = (nibbles[i] & 15) | (int)((fifth >> i) & 1) << 4;
            int high = (nibbles[i] >> 4) | (int)((fifth >> (i + 16)) & 1) << 4;
            values[i] = (low * d) + m;
            values[i + 16] = (high * d) + m;
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        (float d, float m) = importance.IsEmpty ? Range(values) : Search(values, importance);
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], (Half)m);
        uint fifth = 0;
        for (int i = 0; i < 16; i++)
        {
            int low = Math.Clamp((int)(((values[i] - m) * inverse) + 0.5f), 0, 31);
            int high = Math.Clamp((int)(((values[i + 16] - m) * inverse) + 0.5f), 0, 31);
            block[8 + i] = (byte)((low & 15) | ((high & 15) << 4));
            fifth |= ((uint)low >> 4 << i) | ((uint)high >> 4 << (i + 16));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(block[4..], fifth);
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

        return ((high - low) / 31, low);
    }

    private static (float Scale, float Minimum) Search(ReadOnlySpan<float> values, ReadOnlySpan<float> importance)
    {
        Span<float> weights = stackalloc float[32];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        return AffineFit.Best(values, weights, AffineSearch.Fine(31));
    }
}
