using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>128 bytes of low nibbles, 64 of upper bit pairs, 16 signed 8-bit scales, d f16. x = d scale (q - 32). Each half block of 128 values takes 64 and 32 of the bytes.</summary>
internal readonly struct Q6_K : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        ReadOnlySpan<byte> scales = block.Slice(192, 16);
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block[208..]);
        for (int half = 0; half < 2; half++)
        {
            ReadOnlySpan<byte> low = block.Slice(half * 64, 64);
            ReadOnlySpan<byte> high = block.Slice(128 + (half * 32), 32);
            for (int i = 0; i < 128; i++)
            {
                int nibble = (low[i % 64] >> (i / 64 * 4)) & 15;
                int pair = (high[i % 32] >> (i / 32 * 2)) & 3;
                float scale = d * (sbyte)scales[(half * 8) + (i / 16)];
                values[(half * 128) + i] = scale * ((nibble | (pair << 4)) - 32);
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        if (importance.IsEmpty)
        {
            ErrorWeights.Squared(values, importance, weights);
        }
        else
        {
            importance.CopyTo(weights);
        }

        Span<float> scales = stackalloc float[16];
        for (int group = 0; group < 16; group++)
        {
            scales[group] = ScaleFit.Best<LinearLevels64>(values.Slice(group * 16, 16), weights.Slice(group * 16, 16));
        }

        float largest = ScaleFit.Largest(scales);
        float inverse = largest != 0 ? -128 / largest : 0;
        float d = largest != 0 ? (float)(Half)(1 / inverse) : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block[208..], (Half)d);
        for (int i = 0; i < 256; i++)
        {
            int scale = Math.Min((int)MathF.Round(inverse * scales[i / 16]), 127);
            block[192 + (i / 16)] = (byte)(sbyte)scale;
            int q = d * scale != 0 ? (int)LinearLevels64.Nearest(values[i] / (d * scale)) + 32 : 32;
            (int half, int j) = (i / 128, i % 128);
            block[(half * 64) + (j % 64)] |= (byte)((q & 15) << (j / 64 * 4));
            block[128 + (half * 32) + (j % 32)] |= (byte)(q >> 4 << (j / 32 * 2));
        }
    }
}
