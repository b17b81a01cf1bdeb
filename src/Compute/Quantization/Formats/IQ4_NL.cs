using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Scale f16, then nibbles placed as in <see cref="Q4_0"/> that index 16 unevenly spaced levels. x = d level.</summary>
internal readonly struct IQ4_NL : IBlockFormat
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
}
