using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>EXAONE 3 (Llama with paired halves) and 4 (norms behind the blocks and of heads; on layers with windows only, positions rotate).</summary>
internal static class Exaone
{
    public static ModelShape Read3(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves);

    public static ModelShape Read4(HyperParameters p)
    {
        int window = p.FindInt("attention.sliding_window", 0, int.MaxValue) ?? 0;
        bool[] windowed = window > 0 ? Windows.Pattern(p, period: 4) : new bool[HyperParameters.MaxLayers];
        return CommonShape.Read(p, RopePairing.Halves).WithLayers((layer, i) => layer with
        {
            NormBefore = false,
            NormAfter = true,
            Attention = layer.Attention with
            {
                HeadNorm = HeadNorm.PerHead,
                WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
                Window = window,
                Rope = windowed[i] || window == 0 ? layer.Attention.Rope : null,
            },
        });
    }
}
