using Lamina.Compute.Gguf;

namespace Lamina.Kernels.Bench;

/// <summary>Weights of random bits with small finite scales: subnormal products would cost many times the time.</summary>
internal static class RandomWeights
{
    public static byte[] Bytes(GgmlType type, int rows, int columns, int seed)
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
