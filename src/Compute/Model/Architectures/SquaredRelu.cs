using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Arcee's Llama and Nemotron (layer norms, part of each head rotates): plain blocks with a squared ReLU.</summary>
internal static class SquaredRelu
{
    public static ModelShape ReadArcee(HyperParameters p) => Plain(CommonShape.Read(p, RopePairing.Interleaved));

    public static ModelShape ReadNemotron(HyperParameters p) => Plain(CommonShape.Read(p, RopePairing.Halves, NormKind.Layer));

    private static ModelShape Plain(ModelShape shape) =>
        shape.WithFeedForward((block, _) => block with { Gated = false, Activation = Activation.ReluSquared });
}
