using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Orion: Llama with layer norms and paired halves.</summary>
internal static class Orion
{
    public static ModelShape Read(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves, NormKind.Layer);
}
