using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>DeepSeek 1 and what is built like it, Llama's attention with dense layers first, then experts beside shared ones: also Bailing (Ling) and Dots.</summary>
internal static class DeepSeek
{
    public static ModelShape Read(HyperParameters p) => CommonShape.Read(p, RopePairing.Interleaved).AfterDense(p, experts => experts);

    public static ModelShape ReadBailing(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Interleaved).AfterDense(p, experts => experts with { Normalise = p.Bool("expert_weights_norm", absent: false) });

    public static ModelShape ReadBailing2(HyperParameters p) => WithHeadNorms(p);

    public static ModelShape ReadDots(HyperParameters p) => WithHeadNorms(p);

    private static ModelShape WithHeadNorms(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves)
        .WithAttention((attention, _) => attention with { HeadNorm = HeadNorm.PerHead })
        .AfterDense(p, experts => experts with { Router = ExpertKeys.Router(p) ?? RouterKind.Sigmoid, Normalise = p.Bool("expert_weights_norm", absent: false) });
}
