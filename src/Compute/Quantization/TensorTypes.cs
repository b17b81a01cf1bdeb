using System.Globalization;
using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>Gives each tensor its type as llama-quantize does, so that a mix means the same everywhere.</summary>
public static class TensorTypes
{
    /// <summary>Type of <paramref name="tensor"/> under <paramref name="mix"/>; the type it has when it should not be quantised.</summary>
    public static GgmlType Choose(QuantizationMix mix, GgufTensorInfo tensor, QuantizationModel model)
    {
        if (!IsQuantised(tensor))
        {
            return tensor.Type;
        }

        GgmlType chosen = mix.BaseType();
        return chosen is GgmlType.F32 or GgmlType.F16 or GgmlType.BF16 ? chosen : Fitting(ByRole(mix, tensor, model), tensor.Columns);
    }

    /// <summary>Matrices are; norms, routers, positions and vectors stay as they are.</summary>
    private static bool IsQuantised(GgufTensorInfo tensor) =>
        tensor.Dimensions.Count(extent => extent > 1) >= 2
        && tensor.Name.EndsWith("weight", StringComparison.Ordinal)
        && !tensor.Name.Contains("_norm.weight", StringComparison.Ordinal)
        && !tensor.Name.Contains("ffn_gate_inp.weight", StringComparison.Ordinal)
        && tensor.Name is not ("position_embd.weight" or "token_types.weight");

    private static GgmlType ByRole(QuantizationMix mix, GgufTensorInfo tensor, QuantizationModel model)
    {
        string name = tensor.Name;
        bool Has(string part) => name.Contains(part, StringComparison.Ordinal);
        if (name == "output.weight" || (model.Tied && name == "token_embd.weight"))
        {
            return Output(mix, tensor, model);
        }

        if (mix == QuantizationMix.MXFP4)
        {
            return tensor.Dimensions.Count > 2 && tensor.Dimensions[2] > 1 ? GgmlType.MXFP4 : GgmlType.Q8_0;
        }

        if (name == "token_embd.weight")
        {
            return Embedding(mix);
        }

        int layer = Layer(name);
        if (Has("attn_v.weight") || Has("attn_qkv.weight") || Has("attn_kv_b.weight"))
        {
            return AttentionTypes.Value(mix, layer, model);
        }

        return Has("attn_k.weight") ? AttentionTypes.Key(mix, model)
            : Has("attn_q.weight") ? AttentionTypes.Query(mix)
            : Has("attn_output.weight") ? AttentionTypes.Output(mix, model)
            : Has("ffn_down") ? FeedForwardTypes.Down(mix, layer, model)
            : Has("ffn_gate") || Has("ffn_up") ? FeedForwardTypes.Inner(mix, layer, model)
            : mix.BaseType();
    }

    private static GgmlType Output(QuantizationMix mix, GgufTensorInfo tensor, QuantizationModel model)
    {
        GgmlType type = mix.BaseType();
        if (mix == QuantizationMix.MXFP4 || model.IsFalcon || tensor.Columns % GgmlTypes.BlockElements(type) != 0)
        {
            return GgmlType.Q8_0;
        }

        return IsBelowThreeBits(mix) || mix == QuantizationMix.IQ3_XXS ? GgmlType.Q5_K : type == GgmlType.Q8_0 ? type : GgmlType.Q6_K;
    }

    private static GgmlType Embedding(QuantizationMix mix) => mix switch
    {
        QuantizationMix.IQ1_S or QuantizationMix.IQ1_M or QuantizationMix.IQ2_XXS or QuantizationMix.IQ2_XS => GgmlType.Q2_K,
        QuantizationMix.IQ2_S or QuantizationMix.IQ2_M or QuantizationMix.IQ3_XXS => GgmlType.IQ3_S,
        QuantizationMix.TQ1_0 or QuantizationMix.TQ2_0 => GgmlType.Q4_K,
        _ => mix.BaseType(),
    };

    /// <summary>The mixes that rely on codebooks of one or two bits.</summary>
    internal static bool IsBelowThreeBits(QuantizationMix mix) => mix
        is QuantizationMix.IQ1_S or QuantizationMix.IQ1_M or QuantizationMix.IQ2_XXS or QuantizationMix.IQ2_XS or QuantizationMix.IQ2_S or QuantizationMix.IQ2_M;

    /// <summary>A type of about the same width with smaller blocks where rows do not fill blocks of 256.</summary>
    private static GgmlType Fitting(GgmlType type, long columns)
    {
        if (columns % GgmlTypes.BlockElements(type) == 0)
        {
            return type;
        }

        GgmlType narrower = type switch
        {
            GgmlType.Q2_K or GgmlType.Q3_K or GgmlType.TQ1_0 or GgmlType.TQ2_0 => GgmlType.Q4_0,
            GgmlType.Q4_K => GgmlType.Q5_0,
            GgmlType.Q5_K => GgmlType.Q5_1,
            GgmlType.Q6_K => GgmlType.Q8_0,
            _ => GgmlType.IQ4_NL,
        };
        return columns % GgmlTypes.BlockElements(narrower) == 0 ? narrower : GgmlType.F16;
    }

    private static int Layer(string name)
    {
        string[] parts = name.Split('.');
        return parts.Length > 2 && parts[0] == "blk" && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int layer) ? layer : 0;
    }
}
