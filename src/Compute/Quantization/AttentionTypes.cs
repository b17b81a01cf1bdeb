using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>Types of attention matrices under each mix. Values suffer most from few bits, above all when many queries share them.</summary>
internal static class AttentionTypes
{
    private const int ManySharedQueries = 4;
    private const int MixtralExperts = 8;

    public static GgmlType Value(QuantizationMix mix, int layer, QuantizationModel model)
    {
        bool shared = model.GroupedQueries >= ManySharedQueries;
        if (TensorTypes.IsBelowThreeBits(mix))
        {
            return shared || model.Experts >= 4 ? GgmlType.Q4_K
                : mix is QuantizationMix.IQ2_S or QuantizationMix.IQ2_M ? GgmlType.IQ3_S
                : GgmlType.Q2_K;
        }

        if (model.Experts == MixtralExperts)
        {
            return GgmlType.Q8_0;
        }

        return mix switch
        {
            QuantizationMix.Q2_K => shared ? GgmlType.Q4_K : GgmlType.Q3_K,
            QuantizationMix.Q2_K_S when shared => GgmlType.Q4_K,
            QuantizationMix.IQ3_XXS => shared ? GgmlType.Q4_K : model.HasImportance ? GgmlType.IQ3_XXS : GgmlType.IQ3_S,
            QuantizationMix.IQ3_XS or QuantizationMix.IQ3_S when shared => GgmlType.Q4_K,
            QuantizationMix.IQ3_M => GgmlType.Q4_K,
            QuantizationMix.Q3_K_M => layer < 2 ? GgmlType.Q5_K : GgmlType.Q4_K,
            QuantizationMix.Q3_K_L => GgmlType.Q5_K,
            QuantizationMix.IQ4_NL or QuantizationMix.IQ4_XS when shared => GgmlType.Q5_K,
            QuantizationMix.Q4_K_M or QuantizationMix.Q5_K_M when model.WorthMoreBits(layer) => GgmlType.Q6_K,
            QuantizationMix.Q4_K_S when layer < 4 => GgmlType.Q5_K,
            _ => mix.BaseType(),
        };
    }

    public static GgmlType Key(QuantizationMix mix, QuantizationModel model)
    {
        if (model.Experts == MixtralExperts)
        {
            return TensorTypes.IsBelowThreeBits(mix) ? GgmlType.Q4_K : GgmlType.Q8_0;
        }

        return Query(mix);
    }

    public static GgmlType Query(QuantizationMix mix) => mix switch
    {
        QuantizationMix.IQ3_XS => GgmlType.IQ3_XXS,
        QuantizationMix.IQ3_XXS => GgmlType.IQ2_S,
        _ => mix.BaseType(),
    };

    public static GgmlType Output(QuantizationMix mix, QuantizationModel model)
    {
        if (model.IsFalcon)
        {
            return mix == QuantizationMix.Q3_K_L ? GgmlType.Q4_K : mix.BaseType();
        }

        if (model.Experts == MixtralExperts)
        {
            bool lifted = TensorTypes.IsBelowThreeBits(mix) || mix
                is QuantizationMix.Q2_K or QuantizationMix.IQ3_XS or QuantizationMix.IQ3_XXS or QuantizationMix.Q3_K_S or QuantizationMix.Q3_K_M or QuantizationMix.IQ4_NL
                or QuantizationMix.Q4_K_S or QuantizationMix.Q4_K_M or QuantizationMix.IQ3_S or QuantizationMix.IQ3_M or QuantizationMix.IQ4_XS;
            return lifted ? GgmlType.Q5_K : mix.BaseType();
        }

        return mix switch
        {
            QuantizationMix.IQ1_S or QuantizationMix.IQ1_M => GgmlType.IQ2_XXS,
            QuantizationMix.IQ2_S or QuantizationMix.IQ2_M or QuantizationMix.IQ3_XXS => GgmlType.IQ3_S,
            QuantizationMix.Q2_K => GgmlType.Q3_K,
            QuantizationMix.Q3_K_M or QuantizationMix.IQ3_M => GgmlType.Q4_K,
            QuantizationMix.Q3_K_L => GgmlType.Q5_K,
            _ => mix.BaseType(),
        };
    }
}
