namespace Lamina.Compute.Gguf;

/// <summary>The one place that decides whether a claimed shape is possible; it never computes with wrapped numbers.</summary>
internal static class GgmlTensorSize
{
    /// <summary>Throws <see cref="InvalidDataException"/> unless the type is known, the first extent fills whole blocks and the byte length fits 63 bits.</summary>
    public static void Check(string name, GgmlType type, ReadOnlySpan<long> dimensions)
    {
        int blockElements = GgmlTypes.BlockElements(type);
        if (blockElements == 0)
        {
            throw new InvalidDataException($"tensor '{name}' has element type {(uint)type}{RetiredName((uint)type)}, which is not supported");
        }

        if (dimensions[0] % blockElements != 0)
        {
            throw new InvalidDataException($"tensor '{name}' has rows of {dimensions[0]} elements, expected a multiple of {blockElements}, the block of {type}");
        }

        // Each factor is below 2^63 and the product is cut off at 2^63, so 128 bits cannot wrap.
        UInt128 elements = 1;
        foreach (long extent in dimensions)
        {
            elements *= (UInt128)extent;
            if (elements > long.MaxValue)
            {
                throw new InvalidDataException($"tensor '{name}' has dimensions [{string.Join(", ", dimensions.ToArray())}], more than 2^63 elements");
            }
        }

        if (elements / (UInt128)blockElements * (UInt128)GgmlTypes.BlockBytes(type) > long.MaxValue)
        {
            throw new InvalidDataException($"tensor '{name}' has dimensions [{string.Join(", ", dimensions.ToArray())}], more than 2^63 bytes");
        }
    }

    /// <summary>Numbers of the format that are no longer written or too new, so that a message can name them.</summary>
    private static string RetiredName(uint type) => type switch
    {
        4 => " (Q4_2, retired)",
        5 => " (Q4_3, retired)",
        31 => " (Q4_0_4_4, retired)",
        32 => " (Q4_0_4_8, retired)",
        33 => " (Q4_0_8_8, retired)",
        36 => " (IQ4_NL_4_4, retired)",
        37 => " (IQ4_NL_4_8, retired)",
        38 => " (IQ4_NL_8_8, retired)",
        40 => " (NVFP4)",
        _ => "",
    };
}
