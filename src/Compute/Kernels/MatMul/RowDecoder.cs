using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;

namespace Lamina.Compute.Kernels;

/// <summary>The scalar meaning of every weight type: a unit's dwords (<see cref="WeightUnits"/>) to integers and scales, or to floats.</summary>
internal static unsafe class RowDecoder
{
    private static ReadOnlySpan<sbyte> Nonlinear4 => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    // Twice the E2M1 values; the block's scale is halved instead.
    private static ReadOnlySpan<sbyte> Fp4 => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    /// <summary>Decodes one unit to the panel at element <paramref name="offset"/>.</summary>
    public static void Decode(GgmlType type, uint* unit, ref RowPanel panel, int offset)
    {
        byte* bytes = (byte*)unit;
        switch (type)
        {
            case GgmlType.Q4_0:
                HalfScales(unit, ref panel, offset);
                Nibbles(bytes + 4, ref panel, offset, 0, -8);
                Nibbles(bytes + 20, ref panel, offset + 32, 0, -8);
                break;
            case GgmlType.IQ4_NL:
                HalfScales(unit, ref panel, offset);
                Lookup(bytes + 4, ref panel, offset, Nonlinear4);
                Lookup(bytes + 20, ref panel, offset + 32, Nonlinear4);
                break;
            case GgmlType.Q8_0:
                HalfScales(unit, ref panel, offset);
                for (int k = 0; k < 64; k++)
                {
                    panel.Values[offset + k] = (sbyte)bytes[4 + k];
                }

                break;
            case GgmlType.Q5_0:
                HalfScales(unit, ref panel, offset);
                Nibbles(bytes + 8, ref panel, offset, unit[1], -16);
                Nibbles(bytes + 28, ref panel, offset + 32, unit[6], -16);
                break;
            case GgmlType.Q4_1:
                ScaleAndMin(unit, ref panel, offset);
                Nibbles(bytes + 4, ref panel, offset, 0, 0);
                break;
            case GgmlType.Q5_1:
                ScaleAndMin(unit, ref panel, offset);
                Nibbles(bytes + 8, ref panel, offset, unit[1], 0);
                break;
            case GgmlType.MXFP4:
                for (int b = 0; b < 4; b++)
                {
                    panel.D[(offset / 32) + b] = ExponentScale(bytes[b]);
                    Lookup(bytes + 4 + (b * 16), ref panel, offset + (b * 32), Fp4);
                }

                break;
            case GgmlType.Q2_K:
                SuperBlocks.DecodeQ2_K(bytes, ref panel);
                break;
            case GgmlType.Q3_K:
                SuperBlocks.DecodeQ3_K(bytes, ref panel);
                break;
            case GgmlType.Q4_K:
                SuperBlocks.DecodeQ4_K(bytes, ref panel);
                break;
            case GgmlType.Q5_K:
                SuperBlocks.DecodeQ5_K(bytes, ref panel);
                break;
            case GgmlType.Q6_K:
                byte* block = stackalloc byte[210];
                WeightUnits.Scatter(type, unit, 1, block);
                SuperBlocks.DecodeQ6_K(block, ref panel);
                break;
            case GgmlType.IQ4_XS:
                SuperBlocks.DecodeIQ4_XS(bytes, ref panel, Nonlinear4);
                break;
            default:
                throw new NotSupportedException($"{type} has no integer form");
        }
    }

    /// <summary>Decodes one unit to floats.</summary>
    public static void Dequantize(GgmlType type, uint* unit, float* values)
    {
        switch (type)
        {
            case GgmlType.F32:
                *values = *(float*)unit;
                return;
            case GgmlType.F16:
                values[0] = HalfFloat.ToSingle((ushort)*unit);
                values[1] = HalfFloat.ToSingle((ushort)(*unit >> 16));
                return;
            case GgmlType.BF16:
                values[0] = BitConverter.UInt32BitsToSingle(*unit << 16);
                values[1] = BitConverter.UInt32BitsToSingle(*unit & 0xFFFF0000);
                return;
        }

        if (ActivationForms.For(type) == ActivationForm.Float)
        {
            Dequantizer.ToF32(type, new ReadOnlySpan<byte>(unit, GgmlTypes.BlockBytes(type)), new Span<float>(values, GgmlTypes.BlockElements(type)));
            return;
        }

        RowPanel panel = default;
        Decode(type, unit, ref panel, 0);
        int elements = WeightUnits.Size(type).Elements;
        bool super = ActivationForms.For(type) == ActivationForm.SuperBlocks;
        for (int k = 0; k < elements; k++)
        {
            values[k] = super
                ? (panel.D[0] * panel.Scales[k / 16] * panel.Values[k]) - (panel.M[0] * panel.Mins[k / 16])
                : (panel.D[k / 32] * panel.Values[k]) + panel.M[k / 32];
        }
    }

    public static float ExponentScale(byte exponent) => exponent == 0
        ? BitConverter.UInt32BitsToSingle(0x00200000)
        : BitConverter.UInt32BitsToSingle(exponent == 1 ? 0x00400000u : (uint)(exponent - 1) << 23);

    private static void HalfScales(uint* unit, ref RowPanel panel, int offset)
    {
        panel.D[offset / 32] = HalfFloat.ToSingle((ushort)*unit);
        panel.D[(offset / 32) + 1] = HalfFloat.ToSingle((ushort)(*unit >> 16));
    }

    private static void ScaleAndMin(uint* unit, ref RowPanel panel, int offset)
    {
        panel.D[offset / 32] = HalfFloat.ToSingle((ushort)*unit);
        panel.M[offset / 32] = HalfFloat.ToSingle((ushort)(*unit >> 16));
    }

    // 32 values: low nibbles first, then high ones, each with a fifth bit from a mask.
    private static void Nibbles(byte* quants, ref RowPanel panel, int offset, uint fifthBits, int start)
    {
        for (int j = 0; j < 16; j++)
        {
            panel.Values[offset + j] = (short)(start + (quants[j] & 15) + (int)(((fifthBits >> j) & 1) << 4));
            panel.Values[offset + j + 16] = (short)(start + (quants[j] >> 4) + (int)(((fifthBits >> (j + 16)) & 1) << 4));
        }
    }

    private static void Lookup(byte* quants, ref RowPanel panel, int offset, ReadOnlySpan<sbyte> table)
    {
        for (int j = 0; j < 16; j++)
        {
            panel.Values[offset + j] = table[quants[j] & 15];
            panel.Values[offset + j + 16] = table[quants[j] >> 4];
        }
    }
}
