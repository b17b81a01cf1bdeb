using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>32 bytes of third bits (bit k of byte i belongs to value 32 k + i), 64 bytes of low bit pairs as in <see cref="Q2_K"/>, 16 scales of 6 bits in 12 bytes, d f16. x = d (scale - 32) (q - 4).</summary>
internal readonly struct Q3_K : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> third = block[..32];
        ReadOnlySpan<byte> quants = block.Slice(32, 64);
        ReadOnlySpan<byte> scales = block.Slice(96, 12);
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[108..]);
        for (int i = 0; i < 256; i++)
        {
            float scale = d * (Scale(scales, i / 16) - 32);
            int low = (quants[(i / 128 * 32) + (i % 32)] >> (i / 32 % 4 * 2)) & 3;
            int high = (third[i % 32] >> (i / 32)) & 1;
            values[i] = scale * (low + (high * 4) - 4);
        }
    }

    /// <summary>Low nibbles stand in bytes 0 to 7 (scales 8 to 15 in their high halves), upper bit pairs in bytes 8 to 11.</summary>
    internal static int Scale(ReadOnlySpan<byte> scales, int index)
    {
        int low = index < 8 ? scales[index] & 15 : scales[index - 8] >> 4;
        int high = (scales[8 + (index % 4)] >> (index / 4 * 2)) & 3;
        return low | (high << 4);
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> scales = stackalloc float[16];
        for (int group = 0; group < 16; group++)
        {
            ReadOnlySpan<float> x = values.Slice(group * 16, 16);
            ReadOnlySpan<float> w = weights.Slice(group * 16, 16);
            scales[group] = importance.IsEmpty ? LevelDescent.Best(x, w) : ScaleFit.Best<LinearLevels8>(x, w);
        }

        float unit = importance.IsEmpty ? ScaleFit.Largest(scales) / -32 : WeightedUnit(scales, weights);
        float inverse = unit != 0 ? 1 / unit : 0;
        float d = (float)(Half)unit;
        BinaryPrimitives.WriteHalfLittleEndian(block[108..], (Half)d);
        for (int group = 0; group < 16; group++)
        {
            int scale = Math.Clamp((int)MathF.Round(inverse * scales[group]), -32, 31);
            block[96 + (group % 8)] |= (byte)(((scale + 32) & 15) << (group / 8 * 4));
            block[104 + (group % 4)] |= (byte)((scale + 32) >> 4 << (group / 4 * 2));
            for (int i = group * 16; i < (group + 1) * 16; i++)
            {
                int q = d * scale != 0 ? (int)LinearLevels8.Nearest(values[i] / (d * scale)) + 4 : 4;
                block[32 + (i / 128 * 32) + (i % 32)] |= (byte)((q & 3) << (i / 32 % 4 * 2));
                block[i % 32] |= (byte)(q >> 2 << (i / 32));
            }
        }
    }

    /// <summary>The unit of scales that suits the groups that matter.</summary>
    private static float WeightedUnit(ReadOnlySpan<float> scales, ReadOnlySpan<float> weights)
    {
        Span<float> groupWeights = stackalloc float[16];
        groupWeights.Clear();
        for (int i = 0; i < weights.Length; i++)
        {
            groupWeights[i / 16] += weights[i];
        }

        return ScaleFit.Best<LinearLevels64>(scales, groupWeights);
    }
}
