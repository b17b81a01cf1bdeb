namespace Lamina.Compute.Gguf;

/// <summary>The one table of block sizes: how many elements a block holds and how many bytes it takes.</summary>
public static class GgmlTypes
{
    /// <summary>Elements per block, or 0 when the type is unknown.</summary>
    public static int BlockElements(GgmlType type) => Sizes(type).Elements;

    /// <summary>Bytes per block, or 0 when the type is unknown.</summary>
    public static int BlockBytes(GgmlType type) => Sizes(type).Bytes;

    public static bool IsKnown(GgmlType type) => Sizes(type).Elements != 0;

    /// <summary>Bytes of <paramref name="elements"/> values; they must fill whole blocks. Throws <see cref="OverflowException"/> past 2^63.</summary>
    public static long ByteLength(GgmlType type, long elements)
    {
        (int blockElements, int blockBytes) = Sizes(type);
        if (blockElements == 0 || elements < 0 || elements % blockElements != 0)
        {
            throw new ArgumentException($"{elements} elements do not fill whole blocks of {type}");
        }

        return checked(elements / blockElements * blockBytes);
    }

    private static (int Elements, int Bytes) Sizes(GgmlType type) => type switch
    {
        GgmlType.F32 => (1, 4),
        GgmlType.F16 => (1, 2),
        GgmlType.BF16 => (1, 2),
        GgmlType.F64 => (1, 8),
        GgmlType.I8 => (1, 1),
        GgmlType.I16 => (1, 2),
        GgmlType.I32 => (1, 4),
        GgmlType.I64 => (1, 8),
        GgmlType.Q4_0 => (32, 18),
        GgmlType.Q4_1 => (32, 20),
        GgmlType.Q5_0 => (32, 22),
        GgmlType.Q5_1 => (32, 24),
        GgmlType.Q8_0 => (32, 34),
        GgmlType.Q8_1 => (32, 36),
        GgmlType.Q2_K => (256, 84),
        GgmlType.Q3_K => (256, 110),
        GgmlType.Q4_K => (256, 144),
        GgmlType.Q5_K => (256, 176),
        GgmlType.Q6_K => (256, 210),
        GgmlType.Q8_K => (256, 292),
        GgmlType.IQ2_XXS => (256, 66),
        GgmlType.IQ2_XS => (256, 74),
        GgmlType.IQ2_S => (256, 82),
        GgmlType.IQ3_XXS => (256, 98),
        GgmlType.IQ3_S => (256, 110),
        GgmlType.IQ1_S => (256, 50),
        GgmlType.IQ1_M => (256, 56),
        GgmlType.IQ4_NL => (32, 18),
        GgmlType.IQ4_XS => (256, 136),
        GgmlType.TQ1_0 => (256, 54),
        GgmlType.TQ2_0 => (256, 66),
        GgmlType.MXFP4 => (32, 17),
        _ => (0, 0),
    };
}
