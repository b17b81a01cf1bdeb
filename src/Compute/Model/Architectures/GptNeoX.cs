using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>GPT-NeoX and Pythia: layer norms, biases everywhere, plain GELU; attention and block mostly side by side, each with a norm of its own.</summary>
internal static class GptNeoX
{
    public static ModelShape Read(HyperParameters p)
    {
        bool parallel = p.Bool("use_parallel_residual", absent: true);
        return CommonShape.Read(p, RopePairing.Halves, NormKind.Layer).WithLayers((layer, _) => layer with
        {
            Residual = parallel ? ResidualForm.ParallelOwnNorms : ResidualForm.Sequential,
            FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
        });
    }

    /// <summary>CodeShell: the same one after the other.</summary>
    public static ModelShape ReadCodeShell(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Halves, NormKind.Layer)
            .WithFeedForward((block, _) => block with { Gated = false, Activation = Activation.Gelu });
}
