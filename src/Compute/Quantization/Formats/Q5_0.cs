using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, 32 fifth bits in order, then nibbles placed as in <see cref="Q4_0"/>. x = d (q - 16).</summary>
internal readonly struct Q5_0 : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(block[2..]);
        ReadOnlySpan<byte> nibbles = block.Slice(6, 16);
        for (int i = 0; i < 16; i++)
        {
            int low = (nibbles[i] & 15) | (int)((fifth >> i) & 1) << 4;
            int high = (nibbles[i] >> 4) | (int)((fifth >> (i + 16)) & 1) << 4;
            values[i] = (low - 16) * d;
            values[i + 16] = (high - 16) * d;
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        float d = importance.IsEmpty ? ScaleFit.Largest(values) / -16 : SearchScale(values, importance);
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        uint fifth = 0;
        for (int i = 0; i < 16; i++)
        {
            int low = Math.Clamp((int)((values[i] * inverse) + 16.5f), 0, 31);
            int high = Math.Clamp((int)((values[i + 16] * inverse) + 16.5f), 0, 31);
            block[6 + i] = (byte)((low & 15) | ((high & 15) << 4));
            fifth |= ((uint)low >> 4 << i) | ((uint)high >> 4 << (i + 16));
        }

        BinaryPrimitives.WriteUInt32LittleEndian(block[2..], fifth);
    }

    private static float SearchScale(ReadOnlySpan<float> values, ReadOnlySpan<float> importance)
    {
        Span<float> weights = stackalloc float[32];
        ErrorWeights.Squared(values, importance, weights, varianceFactor: 1);
        return ScaleFit.Best<LinearLevels32>(values, weights);
    }
}
