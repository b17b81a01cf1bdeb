using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Command R (parallel layers, scaled logits, norms of heads in the plus form) and Command R7B (windows, positions only there).</summary>
internal static class Cohere
{
    public static ModelShape ReadCommandR(HyperParameters p) =>
        Parallel(p).WithAttention((attention, _) => attention with { HeadNorm = HeadNorm.OwnWeights, HeadNormOptional = true });

    public static ModelShape Read2(HyperParameters p)
    {
        int window = p.Int("attention.sliding_window", 1, int.MaxValue);
        bool[] windowed = Windows.Pattern(p, period: 4);
        return Parallel(p).WithAttention((attention, i) => attention with
        {
            WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
            Window = window,
            Rope = windowed[i] ? attention.Rope : null,
        });
    }

    private static ModelShape Parallel(HyperParameters p) =>
        (CommonShape.Read(p, RopePairing.Interleaved, NormKind.Layer) with { LogitScale = p.FindFloat("logit_scale") is { } scale && scale != 0 ? scale : 1 })
            .WithLayers((layer, _) => layer with { Residual = ResidualForm.Parallel });
}
