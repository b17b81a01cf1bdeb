using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>ChatGLM 3 and GLM 4 (half of each head rotates, gate and up in one tensor; the later GLM 4 with norms on both sides) and GLM 4.5 with experts.</summary>
internal static class Glm
{
    public static ModelShape ReadChat(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Interleaved).WithFeedForward((block, _) => block with { GateInUp = true });

    public static ModelShape Read4(HyperParameters p) => ReadChat(p).WithLayers((layer, _) => layer with { NormAfter = true });
}
