using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Phi 2 (parallel, plain GELU, biases everywhere) and Phi 3 and 4 (Llama with q, k, v and gate, up in one tensor each, LongRoPE).</summary>
internal static class Phi
{
    public static ModelShape Read2(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves, NormKind.Layer).WithLayers((layer, _) => layer with
        {
            Residual = ResidualForm.Parallel,
            FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
        });

    /// <summary>Its sliding window is not applied: the reference does not either, and published files hold values that the models were not trained with.</summary>
    public static ModelShape Read3(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves).WithFeedForward((block, _) => block with { GateInUp = true });
}
