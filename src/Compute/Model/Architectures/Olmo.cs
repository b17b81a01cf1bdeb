using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>OLMo 1 (layer norms without weights, queries and keys bounded) and OLMoE (q and k normed as whole rows, experts).</summary>
internal static class Olmo
{
    public static ModelShape Read(HyperParameters p)
    {
        float clamp = p.FindFloat("attention.clamp_kqv") ?? 0;
        return CommonShape.Read(p, RopePairing.Interleaved, NormKind.PlainLayer).WithAttention((attention, _) => attention with { Clamp = clamp });
    }

    public static ModelShape ReadExperts(HyperParameters p)
    {
        ExpertShape experts = ExpertKeys.Need(p);
        return CommonShape.Read(p, RopePairing.Halves).WithLayers((layer, _) => layer with
        {
            Attention = layer.Attention with { HeadNorm = HeadNorm.WholeRow },
            FeedForward = layer.FeedForward with { Length = ExpertKeys.Length(p) ?? layer.FeedForward.Length, Experts = experts },
        });
    }
}
