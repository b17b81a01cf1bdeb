using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>
/// How a row's blocks become dwords, so that 16 rows can be interleaved dword by dword: lane r of a 64-byte vector belongs to row r of the group.
/// A unit is the least run of elements that fills whole dwords (two Q4_0 blocks, say: their scales share the first dword).
/// </summary>
internal static unsafe class WeightUnits
{
    /// <summary>Rows interleaved; the width of a vector of dwords in AVX-512, two vectors in AVX2.</summary>
    public const int GroupRows = 16;

    /// <summary>Elements and dwords of a unit; (0, 0) when weights of this type are not supported.</summary>
    public static (int Elements, int Dwords) Size(GgmlType type) => type switch
    {
        GgmlType.F32 => (1, 1),
        GgmlType.F16 or GgmlType.BF16 => (2, 1),
        GgmlType.Q4_0 or GgmlType.IQ4_NL => (64, 9),
        GgmlType.Q5_0 => (64, 11),
        GgmlType.Q8_0 => (64, 17),
        GgmlType.MXFP4 => (128, 17),
        GgmlType.F64 or GgmlType.I8 or GgmlType.I16 or GgmlType.I32 or GgmlType.I64 or GgmlType.Q8_1 => (0, 0),
        _ when GgmlTypes.IsKnown(type) => (GgmlTypes.BlockElements(type), (GgmlTypes.BlockBytes(type) + 3) / 4),
        _ => (0, 0),
    };

    /// <summary>Copies a unit of <paramref name="blocks"/> file blocks (fewer than a whole unit at a row's end) to its dwords; the rest becomes zero.</summary>
    public static void Gather(GgmlType type, byte* source, int blocks, uint* unit)
    {
        switch (type)
        {
            case GgmlType.Q4_0 or GgmlType.IQ4_NL or GgmlType.Q5_0 or GgmlType.Q8_0:
                GatherHalfScales(source, blocks, GgmlTypes.BlockBytes(type), unit);
                break;
            case GgmlType.MXFP4:
                GatherByteScales(source, blocks, unit);
                break;
            case GgmlType.Q6_K:
                for (int i = 0; i < 52; i++)
                {
                    unit[i < 4 ? i : i + 1] = ((uint*)source)[OrderQ6_K(i)];
                }

                unit[4] = *(ushort*)(source + 208);
                break;
            default:
                (_, int dwords) = Size(type);
                unit[dwords - 1] = 0;
                Buffer.MemoryCopy(source, unit, dwords * 4, (long)blocks * GgmlTypes.BlockBytes(type));
                break;
        }
    }

    /// <summary>
    /// Dword of a Q6_K block that comes i-th (d stands between the fourth and the fifth): scales first, then what each run of 16 columns needs, so that
    /// multiplying reads front to back.
    /// </summary>
    public static int OrderQ6_K(int i)
    {
        if (i < 4)
        {
            return 48 + i;
        }

        int turn = (i - 4) / 12, within = (i - 4) % 12, half = turn / 2, run = turn % 2 * 4;
        return within < 8 ? (half * 16) + (within / 4 * 8) + run + (within % 4) : 32 + (half * 8) + run + (within % 4);
    }

    /// <summary>The inverse of <see cref="Gather"/>.</summary>
    public static void Scatter(GgmlType type, uint* unit, int blocks, byte* destination)
    {
        int blockBytes = GgmlTypes.BlockBytes(type);
        switch (type)
        {
            case GgmlType.Q4_0 or GgmlType.IQ4_NL or GgmlType.Q5_0 or GgmlType.Q8_0:
                for (int b = 0; b < blocks; b++)
                {
                    byte* block = destination + (b * blockBytes);
                    *(ushort*)block = ((ushort*)unit)[b];
                    Buffer.MemoryCopy((byte*)(unit + 1) + (b * (blockBytes - 2)), block + 2, blockBytes - 2, blockBytes - 2);
                }

                break;
            case GgmlType.MXFP4:
                for (int b = 0; b < blocks; b++)
                {
                    destination[b * 17] = ((byte*)unit)[b];
                    Buffer.MemoryCopy(unit + 1 + (b * 4), destination + (b * 17) + 1, 16, 16);
                }

                break;
            case GgmlType.Q6_K:
                for (int i = 0; i < 52; i++)
                {
                    ((uint*)destination)[OrderQ6_K(i)] = unit[i < 4 ? i : i + 1];
                }

                *(ushort*)(destination + 208) = (ushort)unit[4];
                break;
            default:
                Buffer.MemoryCopy(unit, destination, (long)blocks * blockBytes, (long)blocks * blockBytes);
                break;
        }
    }

    // Two blocks of a f16 scale and quants: both scales in the first dword, then the quants.
    private static void GatherHalfScales(byte* source, int blocks, int blockBytes, uint* unit)
    {
        int quantDwords = (blockBytes - 2) / 4;
        unit[0] = *(ushort*)source;
        Copy(source + 2, unit + 1, quantDwords);
        if (blocks == 2)
        {
            unit[0] |= (uint)*(ushort*)(source + blockBytes) << 16;
            Copy(source + blockBytes + 2, unit + 1 + quantDwords, quantDwords);
        }
        else
        {
            new Span<uint>(unit + 1 + quantDwords, quantDwords).Clear();
        }
    }

    // Four blocks of a one-byte scale and 16 bytes of quants: the scales in the first dword.
    private static void GatherByteScales(byte* source, int blocks, uint* unit)
    {
        new Span<uint>(unit, 17).Clear();
        for (int b = 0; b < blocks; b++)
        {
            ((byte*)unit)[b] = source[b * 17];
            Copy(source + (b * 17) + 1, unit + 1 + (b * 4), 4);
        }
    }

    private static void Copy(byte* source, uint* destination, int dwords)
    {
        for (int i = 0; i < dwords; i++)
        {
            destination[i] = ((uint*)source)[i];
        }
    }
}
