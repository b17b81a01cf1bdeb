using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Seed-OSS: Qwen 2 whose feed-forward norm carries the name of one behind attention.</summary>
internal static class SeedOss
{
    public static ModelShape Read(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves).WithLayers((layer, _) => layer with { FeedForwardNorm = "post_attention_norm" });
}
