using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu.Weights;

/// <summary>Writes 32 elements of a decoded panel in the planes of a format; the formats in <c>Code</c> read them back.</summary>
/// <param name="block">Which 32 of the panel's elements.</param>
internal readonly unsafe struct PanelPacker(GgmlType type, RowPanel* panel, int block)
{
    private static ReadOnlySpan<sbyte> Nonlinear4 => [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    private static ReadOnlySpan<sbyte> Fp4 => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    public void Write(byte* quants, byte* high, ushort* scales)
    {
        switch (type)
        {
            case GgmlType.Q4_0:
                Nibbles(quants, 8);
                *scales = Bits(panel->D[block]);
                break;
            case GgmlType.Q8_0:
                for (int i = 0; i < 32; i++)
                {
                    quants[i] = (byte)Value(i);
                }

                *scales = Bits(panel->D[block]);
                break;
            case GgmlType.Q4_K:
                Nibbles(quants, 0);
                SuperScales(scales);
                break;
            case GgmlType.Q5_K:
                Nibbles(quants, 0);
                FifthBits((uint*)high);
                SuperScales(scales);
                break;
            case GgmlType.Q6_K:
                Nibbles(quants, 32);
                UpperBits((uint*)high);
                scales[0] = Bits(panel->D[0]);
                scales[1 + block] = (ushort)((byte)panel->Scales[block * 2] | ((byte)panel->Scales[(block * 2) + 1] << 8));
                break;
            case GgmlType.IQ4_XS:
                Indices(quants, Nonlinear4);
                scales[0] = Bits(panel->D[0]);
                ((byte*)(scales + 1))[block] = (byte)panel->Scales[block * 2];
                break;
            case GgmlType.MXFP4:
                Indices(quants, Fp4);
                *scales = (ushort)(BitConverter.SingleToUInt32Bits(panel->D[block]) >> 16);
                break;
            default:
                throw new NotSupportedException($"{type} has no layout on the device");
        }
    }

    private int Value(int i) => panel->Values[(block * 32) + i];

    /// <summary>Lower four bits: of elements 0 to 15 below, of 16 to 31 above.</summary>
    private void Nibbles(byte* quants, int offset)
    {
        for (int i = 0; i < 16; i++)
        {
            quants[i] = (byte)(((Value(i) + offset) & 15) | (((Value(i + 16) + offset) & 15) << 4));
        }
    }

    private void FifthBits(uint* high)
    {
        *high = 0;
        for (int i = 0; i < 32; i++)
        {
            *high |= (uint)((Value(i) >> 4) & 1) << i;
        }
    }

    /// <summary>Two bits an element: of the j-th byte of four elements at bits 2 (i / 4) of byte j, sixteen elements a dword.</summary>
    private void UpperBits(uint* high)
    {
        for (int half = 0; half < 2; half++)
        {
            high[half] = 0;
            for (int i = 0; i < 16; i++)
            {
                high[half] |= (uint)(((Value((half * 16) + i) + 32) >> 4) & 3) << ((i % 4 * 8) + (i / 4 * 2));
            }
        }
    }

    /// <summary>Indices into a table, element by element.</summary>
    private void Indices(byte* quants, ReadOnlySpan<sbyte> table)
    {
        for (int i = 0; i < 16; i++)
        {
            quants[i] = (byte)(table.IndexOf((sbyte)Value(i * 2)) | (table.IndexOf((sbyte)Value((i * 2) + 1)) << 4));
        }
    }

    private void SuperScales(ushort* scales)
    {
        scales[0] = Bits(panel->D[0]);
        scales[1] = Bits(panel->M[0]);
        scales[2 + block] = (ushort)((byte)panel->Scales[block * 2] | ((byte)panel->Mins[block * 2] << 8));
    }

    /// <summary>Scales come from halves, so that nothing is lost; what was no finite half reads as a large number on the CPU and is bounded here.</summary>
    private static ushort Bits(float value) => BitConverter.HalfToUInt16Bits((Half)Math.Clamp(value, -65504f, 65504f));
}
