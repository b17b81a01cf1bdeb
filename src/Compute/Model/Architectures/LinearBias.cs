using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Models without positions but for a bias that falls with the distance: BLOOM, MPT, Refact, Baichuan 13B, Jais.</summary>
internal static class LinearBias
{
    private const float UsualBias = 8;

    /// <summary>Layer norms, of the embeddings too, biases everywhere, plain GELU.</summary>
    public static ModelShape ReadBloom(HyperParameters p) => PlainGelu(CommonShape.Read(p, RopePairing.Halves, NormKind.Layer) with { EmbeddingNorm = true }, UsualBias);

    /// <summary>Layer norms, plain GELU, queries and keys bounded.</summary>
    public static ModelShape ReadMpt(HyperParameters p)
    {
        float clamp = p.FindFloat("attention.clamp_kqv") ?? 0;
        return PlainGelu(CommonShape.Read(p, RopePairing.Halves, NormKind.Layer), bias: null).WithAttention((attention, _) => attention with { Clamp = clamp });
    }

    public static ModelShape ReadRefact(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves).WithAttention((attention, _) => attention with { Rope = null, AlibiBias = UsualBias });

    /// <summary>Layer norms, scores divided by the head's length, a gated block.</summary>
    public static ModelShape ReadJais(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves, NormKind.Layer)
        .WithAttention((attention, _) => attention with { Rope = null, Scale = 1f / attention.KeyLength });

    /// <summary>The larger model, of 40 layers or more, has the bias; the smaller one is a Llama.</summary>
    public static ModelShape ReadBaichuan(HyperParameters p)
    {
        ModelShape shape = CommonShape.Read(p, RopePairing.Interleaved);
        return shape.LayerCount < 40 ? shape : shape.WithAttention((attention, _) => attention with { Rope = null, AlibiBias = UsualBias });
    }

    private static ModelShape PlainGelu(ModelShape shape, float? bias) => shape.WithLayers((layer, _) => layer with
    {
        Attention = layer.Attention with { Rope = null, AlibiBias = bias ?? layer.Attention.AlibiBias },
        FeedForward = layer.FeedForward with { Gated = false, Activation = Activation.Gelu },
    });
}
