using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>d f16, 16 bits with the upper pairs of eight 6-bit scales, 4 bytes with their nibbles, then eight groups of 32 values as in <see cref="IQ4_NL"/>. x = d (scale - 32) level.</summary>
internal readonly struct IQ4_XS : IBlockQuantizer
{
    public static void Dequantize(ReadOnlySpan<byte> block, Span<float> values)
    {
        float d = (float)BinaryPrimitives.ReadHalfLittleEndian(block);
        int scalesHigh = BinaryPrimitives.ReadUInt16LittleEndian(block[2..]);
        ReadOnlySpan<byte> scalesLow = block.Slice(4, 4);
        for (int group = 0; group < 8; group++)
        {
            int low = (scalesLow[group / 2] >> (group % 2 * 4)) & 15;
            int high = (scalesHigh >> (group * 2)) & 3;
            float scale = d * ((low | (high << 4)) - 32);
            ReadOnlySpan<byte> nibbles = block.Slice(8 + (group * 16), 16);
            Span<float> y = values.Slice(group * 32, 32);
            for (int i = 0; i < 16; i++)
            {
                y[i] = scale * IQ4_NL.Levels[nibbles[i] & 15];
                y[i + 16] = scale * IQ4_NL.Levels[nibbles[i] >> 4];
            }
        }
    }

    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, Span<byte> block)
    {
        Span<float> weights = stackalloc float[256];
        ErrorWeights.Squared(values, importance, weights);
        Span<float> scales = stackalloc float[8];
        for (int group = 0; group < 8; group++)
        {
            scales[group] = ScaleFit.Best<UnevenLevels>(values.Slice(group * 32, 32), weights.Slice(group * 32, 32));
        }

        float d = -ScaleFit.Largest(scales) / 32;
        float inverse = d != 0 ? 1 / d : 0;
        BinaryPrimitives.WriteHalfLittleEndian(block, (Half)d);
        int scalesHigh = 0;
        for (int group = 0; group < 8; group++)
        {
            int scale = Math.Clamp((int)MathF.Round(inverse * scales[group]), -32, 31);
            block[4 + (group / 2)] |= (byte)(((scale + 32) & 15) << (group % 2 * 4));
            scalesHigh |= (scale + 32) >> 4 << (group * 2);
            IQ4_NL.Pack(values.Slice(group * 32, 32), d * scale, block.Slice(8 + (group * 16), 16));
        }

        BinaryPrimitives.WriteUInt16LittleEndian(block[2..], (ushort)scalesHigh);
    }
}
