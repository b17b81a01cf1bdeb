using System.Buffers.Binary;

namespace Lamina.Compute.Quantization.Formats;

/// <summary>Eight pairs of 6-bit scale and minimum in 12 bytes, as <see cref="Q4_K"/> and <see cref="Q5_K"/> pack them.</summary>
internal static class KScales
{
    /// <summary>
    /// Pairs 0 to 3 stand in the low six bits of bytes 0-3 (scales) and 4-7 (minimums). Pairs 4 to 7 have their nibbles in bytes 8-11
    /// (scale low, minimum high) and their upper two bits on top of bytes 0-3 and 4-7.
    /// </summary>
    public static (int Scale, int Min) Get(ReadOnlySpan<byte> packed, int index)
    {
        if (index < 4)
        {
            return (packed[index] & 63, packed[index + 4] & 63);
        }

        int scale = (packed[index + 4] & 15) | (packed[index - 4] >> 6 << 4);
        int min = (packed[index + 4] >> 4) | (packed[index] >> 6 << 4);
        return (scale, min);
    }

    /// <summary>Stores the pair at <paramref name="index"/> into zeroed bytes.</summary>
    public static void Set(Span<byte> packed, int index, int scale, int min)
    {
        if (index < 4)
        {
            packed[index] |= (byte)scale;
            packed[index + 4] |= (byte)min;
            return;
        }

        packed[index + 4] |= (byte)((scale & 15) | ((min & 15) << 4));
        packed[index - 4] |= (byte)(scale >> 4 << 6);
        packed[index] |= (byte)(min >> 4 << 6);
    }

    /// <summary>Fits eight groups and writes the d, dmin and packed scales with which <see cref="Q4_K"/> and <see cref="Q5_K"/> blocks start.</summary>
    public static void Quantize(ReadOnlySpan<float> values, ReadOnlySpan<float> importance, AffineSearch search, Span<byte> block, Span<byte> levels)
    {
        Span<byte> scales = stackalloc byte[8];
        Span<byte> minimums = stackalloc byte[8];
        (Half d, Half dmin) = AffineGroups.Quantize(search, values, importance, 63, scales, minimums, levels);
        BinaryPrimitives.WriteHalfLittleEndian(block, d);
        BinaryPrimitives.WriteHalfLittleEndian(block[2..], dmin);
        for (int group = 0; group < 8; group++)
        {
            Set(block.Slice(4, 12), group, scales[group], minimums[group]);
        }
    }
}
