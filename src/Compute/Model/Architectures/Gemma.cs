using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>
/// Gemma 1 to 3: embeddings scaled by the square root of their length, GELU gates; from 2 on norms on both sides and sliding windows
/// on most layers; 2 with soft caps, 3 with norms of q and k and a rotation of its own on windowed layers.
/// </summary>
internal static class Gemma
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = CommonShape.Read(p, RopePairing.Halves);
        return (shape with { EmbeddingScale = MathF.Sqrt(shape.EmbeddingLength) })
            .WithFeedForward((block, _) => block with { Activation = Activation.Gelu });
    }

    public static ModelShape Read2(HyperParameters p)
    {
        int window = p.FindInt("attention.sliding_window", 1, int.MaxValue) ?? 4096;
        bool[] windowed = Windows.Pattern(p, period: 2);
        float cap = p.Positive("attn_logit_softcapping", 50);
        float? windowedBase = Windows.RopeBase(p);
        ModelShape shape = WithBothNorms(p, largestLayers: 46) with { LogitSoftCap = p.Positive("final_logit_softcapping", 30) };
        return shape.WithAttention((attention, i) => attention with
        {
            SoftCap = cap,
            WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
            Window = window,
            Rope = windowed[i] && windowedBase is { } other ? attention.Rope! with { Base = other } : attention.Rope,
        });
    }

    public static ModelShape Read3(HyperParameters p)
    {
        int window = p.FindInt("attention.sliding_window", 0, int.MaxValue) ?? 0;
        bool[] windowed = window > 0 ? Windows.Pattern(p, period: 6) : new bool[HyperParameters.MaxLayers];
        float windowedBase = Windows.RopeBase(p) ?? 10000;
        ModelShape shape = WithBothNorms(p, largestLayers: 62) with { LogitSoftCap = p.FindFloat("final_logit_softcapping") ?? 0 };
        return shape.WithAttention((attention, i) => attention with
        {
            HeadNorm = HeadNorm.PerHead,
            WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
            Window = window,
            Rope = windowed[i] ? attention.Rope! with { Base = windowedBase, Scaling = RopeScaling.None, Factor = 1 } : attention.Rope,
        });
    }

    /// <summary>The largest models scale scores by the embedding's share of a head instead of the head's length.</summary>
    private static ModelShape WithBothNorms(HyperParameters p, int largestLayers)
    {
        ModelShape shape = Read(p);
        return shape.WithLayers((layer, _) => layer with
        {
            NormAfter = true,
            Attention = shape.LayerCount == largestLayers
                ? layer.Attention with { Scale = 1f / MathF.Sqrt(shape.EmbeddingLength / layer.Attention.Heads) }
                : layer.Attention,
        });
    }
}
