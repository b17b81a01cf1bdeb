using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>GPT-2: learned positions, layer norms, biases everywhere, plain GELU.</summary>
internal static class Gpt2
{
    public static ModelShape Read(HyperParameters p) =>
        (CommonShape.Read(p, RopePairing.Halves, NormKind.Layer) with { LearnedPositions = true }).WithLayers((layer, _) => layer with
        {
            Attention = layer.Attention with { Rope = null },
            FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
        });
}
