using Lamina.Compute.Gguf;

namespace Lamina.Compute.Kernels;

/// <summary>How the input of a multiplication is held, as the weights' type asks.</summary>
public enum ActivationForm
{
    /// <summary>f32 as given, for weights that are floats.</summary>
    Float,

    /// <summary>int8 with an f32 scale per 32 values.</summary>
    Blocks,

    /// <summary>int8 with an f32 scale per 256 values.</summary>
    SuperBlocks,
}

internal static class ActivationForms
{
    public static ActivationForm For(GgmlType type) => type switch
    {
        GgmlType.Q4_0 or GgmlType.Q4_1 or GgmlType.Q5_0 or GgmlType.Q5_1 or GgmlType.Q8_0 or GgmlType.IQ4_NL or GgmlType.MXFP4 => ActivationForm.Blocks,
        GgmlType.Q2_K or GgmlType.Q3_K or GgmlType.Q4_K or GgmlType.Q5_K or GgmlType.Q6_K or GgmlType.IQ4_XS => ActivationForm.SuperBlocks,
        _ => ActivationForm.Float,
    };

    /// <summary>True when blocks carry a minimum beside the scale.</summary>
    public static bool HasMinimums(GgmlType type) => type is GgmlType.Q4_1 or GgmlType.Q5_1 or GgmlType.Q2_K or GgmlType.Q4_K or GgmlType.Q5_K;
}
