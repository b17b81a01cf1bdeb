using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Llama 1 to 3, Mistral, Mixtral, SmolLM and their like: interleaved rotary pairs, experts when the metadata counts any.</summary>
internal static class Llama
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = CommonShape.Read(p, RopePairing.Interleaved);
        return ExpertKeys.Find(p) is { } experts
            ? shape.WithFeedForward((block, _) => block with { Experts = experts with { Normalise = true } })
            : shape;
    }
}
