using Lamina.Compute.Gguf;

namespace Lamina.Compute.Quantization;

/// <summary>Types of feed-forward matrices under each mix: the one that writes to the residual stream gets more bits in some layers.</summary>
internal static class FeedForwardTypes
{
    public static GgmlType Down(QuantizationMix mix, int layer, QuantizationModel model)
    {
        bool early = layer < model.Layers / 8;
        bool veryEarly = layer < model.Layers / 16;
        bool worthMore = model.WorthMoreBits(layer);
        return mix switch
        {
            QuantizationMix.IQ2_S or QuantizationMix.IQ2_M when early => GgmlType.IQ3_S,
            QuantizationMix.IQ1_S or QuantizationMix.IQ1_M or QuantizationMix.IQ2_XXS or QuantizationMix.IQ2_XS when early => GgmlType.Q2_K,
            QuantizationMix.Q2_K => GgmlType.Q3_K,
            QuantizationMix.Q2_K_S when early => GgmlType.Q4_K,
            QuantizationMix.IQ3_XXS when !model.HasImportance => early ? GgmlType.Q4_K : GgmlType.Q3_K,
            QuantizationMix.Q3_K_M => veryEarly ? GgmlType.Q5_K : !model.IsFalcon || worthMore ? GgmlType.Q4_K : GgmlType.Q3_K,
            QuantizationMix.IQ3_M when early || (model.Experts == 8 && worthMore) => GgmlType.Q4_K,
            QuantizationMix.Q3_K_L => model.IsFalcon ? GgmlType.Q4_K : GgmlType.Q5_K,
            QuantizationMix.Q4_K_M when model.IsFalcon => veryEarly ? GgmlType.Q6_K : worthMore ? GgmlType.Q5_K : GgmlType.Q4_K,
            QuantizationMix.Q4_K_M or QuantizationMix.Q5_K_M when worthMore => GgmlType.Q6_K,
            QuantizationMix.IQ4_NL or QuantizationMix.IQ4_XS when early && !model.HasImportance => GgmlType.Q5_K,
            QuantizationMix.Q4_K_S when early && !model.IsFalcon => GgmlType.Q5_K,
            QuantizationMix.Q4_0 when early && model.HasImportance => GgmlType.Q4_1,
            QuantizationMix.Q5_0 when early && model.HasImportance => GgmlType.Q5_1,
            _ => mix.BaseType(),
        };
    }

    public static GgmlType Inner(QuantizationMix mix, int layer, QuantizationModel model) =>
        mix == QuantizationMix.IQ3_XS && layer >= model.Layers / 8 && layer < 7 * model.Layers / 8 ? GgmlType.IQ3_XXS : mix.BaseType();
}
