using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>DBRX: layer norms, queries, keys and values bounded, experts.</summary>
internal static class Dbrx
{
    public static ModelShape Read(HyperParameters p)
    {
        ExpertShape experts = ExpertKeys.Need(p);
        float clamp = p.FindFloat("attention.clamp_kqv") ?? 0;
        return CommonShape.Read(p, RopePairing.Halves, NormKind.Layer).WithLayers((layer, _) => layer with
        {
            FeedForwardNorm = "attn_output_norm",
            Attention = layer.Attention with { Clamp = clamp },
            FeedForward = layer.FeedForward with { Experts = experts with { Normalise = true } },
        });
    }
}
