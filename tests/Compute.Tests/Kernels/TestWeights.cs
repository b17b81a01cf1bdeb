using System.Runtime.InteropServices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Kernels;

/// <summary>Weight matrices from given or seeded random bytes.</summary>
internal static unsafe class TestWeights
{
    public static WeightMatrix FromFloats(WorkerTeam team, float[][] rows)
    {
        float[] flat = [.. rows.SelectMany(r => r)];
        return FromBytes(team, GgmlType.F32, rows.Length, rows[0].Length, MemoryMarshal.AsBytes(flat.AsSpan()));
    }

    public static WeightMatrix FromBytes(WorkerTeam team, GgmlType type, int rows, int columns, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* pointer = bytes)
        {
            return WeightMatrix.Pack(team, new TensorView("test", type, columns, rows, [columns, rows], (nint)pointer, bytes.Length));
        }
    }

    /// <summary>Random bits everywhere, with scales that are small and finite.</summary>
    public static byte[] RandomBytes(GgmlType type, int rows, int columns, int seed)
    {
        var random = new Random(seed);
        byte[] bytes = new byte[GgmlTypes.ByteLength(type, (long)rows * columns)];
        random.NextBytes(bytes);
        int block = GgmlTypes.BlockBytes(type);
        int[] halves = HalfScales(type);
        for (int offset = 0; offset < bytes.Length; offset += block)
        {
            foreach (int half in halves)
            {
                BitConverter.TryWriteBytes(bytes.AsSpan(offset + half), (Half)((random.NextSingle() - 0.5f) * 0.1f));
            }

            switch (type)
            {
                case GgmlType.MXFP4:
                    bytes[offset] = (byte)random.Next(118, 126);
                    break;
                case GgmlType.F32:
                    BitConverter.TryWriteBytes(bytes.AsSpan(offset), random.NextSingle() - 0.5f);
                    break;
                case GgmlType.BF16:
                    BitConverter.TryWriteBytes(bytes.AsSpan(offset), (ushort)(BitConverter.SingleToUInt32Bits(random.NextSingle() - 0.5f) >> 16));
                    break;
            }
        }

        return bytes;
    }

    /// <summary>Copies each block's scales.</summary>
    public static void CopyScales(GgmlType type, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        int block = GgmlTypes.BlockBytes(type);
        for (int offset = 0; offset < source.Length; offset += block)
        {
            foreach (int half in HalfScales(type))
            {
                source.Slice(offset + half, 2).CopyTo(destination[(offset + half)..]);
            }

            if (type is GgmlType.MXFP4)
            {
                destination[offset] = source[offset];
            }
        }
    }

    public static float[] RandomInput(int rows, int columns, int seed)
    {
        var random = new Random(seed);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (random.NextSingle() - 0.5f) * (i % 97 == 0 ? 20 : 2);
        }

        // A stretch of zeros, as padding and masked inputs have.
        values.AsSpan(columns / 2, 32).Clear();
        return values;
    }

    private static int[] HalfScales(GgmlType type) => type switch
    {
        GgmlType.Q4_0 or GgmlType.Q5_0 or GgmlType.Q8_0 or GgmlType.IQ4_NL or GgmlType.IQ4_XS or GgmlType.F16 => [0],
        GgmlType.IQ1_S or GgmlType.IQ2_XXS or GgmlType.IQ2_XS or GgmlType.IQ2_S or GgmlType.IQ3_XXS or GgmlType.IQ3_S => [0],
        GgmlType.Q4_1 or GgmlType.Q5_1 or GgmlType.Q4_K or GgmlType.Q5_K => [0, 2],
        GgmlType.Q2_K => [80, 82],
        GgmlType.Q3_K => [108],
        GgmlType.Q6_K => [208],
        GgmlType.TQ1_0 => [52],
        GgmlType.TQ2_0 => [64],
        _ => [],
    };
}
