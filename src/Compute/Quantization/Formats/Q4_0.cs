using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, then 16 bytes of nibbles: value i in the low half of byte i, value i + 16 in the high half. x = d (q - 8).</summary>
internal readonly struct Q4_0 : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        ReadOnlySpan<byte> nibbles = block.Slice(2, 16);
        for (int i = 0; i < 16; i++)
        {
            values[i] = ((nibbles[i] & 15) - 8) * d;
            values[i + 16] = ((nibbles[i] >> 4) - 8) * d;
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        float d = importance.IsEmpty ? ScaleFit.Largest(values) / -8 : SearchScale(values, importance);
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        for (int i = 0; i < 16; i++)
        {
            int low = Math.Clamp((int)((values[i] * inverse) + 8.5f), 0, 15);
            int high = Math.Clamp((int)((values[i + 16] * inverse) + 8.5f), 0, 15);
            block[2 + i] = (byte)(low | (high << 4));
        }
    }

    private static float SearchScale(ReadOnlySpan<float> values, ReadOnlySpan<float> importance)
    {
        Span<float> weights = stackalloc float[32];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        return ScaleFit.Best<LinearLevels16>(values, weights);
    }
}
