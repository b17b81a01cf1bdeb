using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>BERT (learned positions, plain GELU) and Nomic's (rotary positions, gated SiLU): encoders for embeddings.</summary>
internal static class Bert
{
    public static ModelShape Read(HyperParameters p) => (Encoder(p) with { LearnedPositions = true }).WithLayers((layer, _) => layer with
    {
        Attention = layer.Attention with { Rope = null },
        FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
    });

    public static ModelShape ReadNomic(HyperParameters p) => Encoder(p);

    private static ModelShape Encoder(HyperParameters p) => (CommonShape.Read(p, RopePairing.Halves, NormKind.Layer) with
    {
        IsCausal = p.Bool("attention.causal", absent: false),
        HasLogits = false,
        EmbeddingNorm = true,
        TokenTypes = p.Metadata.FindInt32("tokenizer.ggml.token_type_count", 0, 1024) ?? 0,
    }).WithLayers((layer, _) => layer with { NormBefore = false, NormStream = true });
}
