using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Falcon 7B and 40B: parallel layers, plain GELU; 40B gives attention a norm of its own.</summary>
internal static class Falcon
{
    public static ModelShape Read(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves, NormKind.Layer).WithLayers((layer, _) => layer with
        {
            Residual = ResidualForm.Parallel,
            FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
        });
}
