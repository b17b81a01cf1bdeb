using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>Recipes that give each tensor of a model its type; names are those of llama-quantize, numbers those of <c>general.file_type</c>.</summary>
public enum QuantizationMix
{
    F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q8_0 = 7, Q5_0 = 8, Q5_1 = 9,
    Q2_K = 10, Q3_K_S = 11, Q3_K_M = 12, Q3_K_L = 13, Q4_K_S = 14, Q4_K_M = 15, Q5_K_S = 16, Q5_K_M = 17, Q6_K = 18,
    IQ2_XXS = 19, IQ2_XS = 20, Q2_K_S = 21, IQ3_XS = 22, IQ3_XXS = 23, IQ1_S = 24, IQ4_NL = 25, IQ3_S = 26, IQ3_M = 27, IQ2_S = 28, IQ2_M = 29,
    IQ4_XS = 30, IQ1_M = 31, BF16 = 32, TQ1_0 = 36, TQ2_0 = 37, MXFP4 = 38,
}

public static class QuantizationMixes
{
    /// <summary>The type that most tensors get.</summary>
    public static GgmlType BaseType(this QuantizationMix mix) => mix switch
    {
        QuantizationMix.Q2_K_S => GgmlType.Q2_K,
        QuantizationMix.Q3_K_S or QuantizationMix.Q3_K_M or QuantizationMix.Q3_K_L => GgmlType.Q3_K,
        QuantizationMix.Q4_K_S or QuantizationMix.Q4_K_M => GgmlType.Q4_K,
        QuantizationMix.Q5_K_S or QuantizationMix.Q5_K_M => GgmlType.Q5_K,
        QuantizationMix.IQ2_S => GgmlType.IQ2_XS,
        QuantizationMix.IQ2_M => GgmlType.IQ2_S,
        QuantizationMix.IQ3_XS or QuantizationMix.IQ3_M => GgmlType.IQ3_S,
        _ => Enum.Parse<GgmlType>(mix.ToString()),
    };

    /// <summary>Reads a name regardless of case; also takes K types without size for their medium mix. Throws <see cref="ArgumentException"/> listing the names.</summary>
    public static QuantizationMix Parse(string name)
    {
        string full = name.ToUpperInvariant() switch
        {
            "Q3_K" => "Q3_K_M",
            "Q4_K" => "Q4_K_M",
            "Q5_K" => "Q5_K_M",
            "MXFP4_MOE" => "MXFP4",
            var other => other,
        };
        return !char.IsAsciiDigit(full.FirstOrDefault()) && Enum.TryParse(full, out QuantizationMix mix) && Enum.IsDefined(mix)
            ? mix
            : throw new ArgumentException($"'{name}' is no quantisation; there are {string.Join(", ", Enum.GetNames<QuantizationMix>())}");
    }
}
