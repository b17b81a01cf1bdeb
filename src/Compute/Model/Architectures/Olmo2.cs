using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>OLMo 2 and 3: norms only after attention and feed-forward, q and k normed as whole rows; 3 with windows.</summary>
internal static class Olmo2
{
    public static ModelShape Read(HyperParameters p)
    {
        int window = p.FindInt("attention.sliding_window", 0, int.MaxValue) ?? 0;
        bool[] windowed = window > 0 ? Windows.Pattern(p, period: 4) : new bool[HyperParameters.MaxLayers];
        return CommonShape.Read(p, RopePairing.Halves).WithLayers((layer, i) => layer with
        {
            NormBefore = false,
            NormAfter = true,
            Attention = layer.Attention with
            {
                HeadNorm = HeadNorm.WholeRow,
                WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
                Window = window,
                Rope = windowed[i] ? layer.Attention.Rope! with { Scaling = RopeScaling.None, Factor = 1, AttentionFactor = 1 } : layer.Attention.Rope,
            },
        });
    }
}
