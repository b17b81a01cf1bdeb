using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>StarCoder 2: layer norms, biases everywhere, plain GELU.</summary>
internal static class Starcoder2
{
    public static ModelShape Read(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves, NormKind.Layer)
            .WithFeedForward((block, _) => block with { Gated = false, Activation = Activation.Gelu });
}
