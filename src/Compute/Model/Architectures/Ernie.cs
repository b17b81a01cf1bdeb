using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>ERNIE 4.5, dense (Llama) and with experts, some of them shared.</summary>
internal static class Ernie
{
    public static ModelShape ReadExperts(HyperParameters p) =>
        CommonShape.Read(p, RopePairing.Interleaved).AfterDense(p, experts => experts with { Normalise = true });
}
