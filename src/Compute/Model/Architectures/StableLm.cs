using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>StableLM 1.6B to 12B: layer norms, part of each head rotates; the largest is parallel and norms its heads.</summary>
internal static class StableLm
{
    public static ModelShape Read(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves, NormKind.Layer).WithLayers((layer, _) => layer with
        {
            Residual = ResidualForm.ParallelWithoutFeedForwardNorm,
            Attention = layer.Attention with { HeadNorm = HeadNorm.OwnWeights, HeadNormOptional = true },
        });
}
