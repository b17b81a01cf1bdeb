using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>gpt-oss: experts with biases and a bounded SwiGLU, attention sinks, windows on every other layer.</summary>
internal static class GptOss
{
    public static ModelShape Read(HyperParameters p)
    {
        int window = p.Int("attention.sliding_window", 1, int.MaxValue);
        bool[] windowed = Windows.Pattern(p, period: 2);
        float? windowedBase = Windows.RopeBase(p);
        ExpertShape experts = ExpertKeys.Need(p) with { Router = RouterKind.SoftmaxOfChosen };
        return CommonShape.Read(p, RopePairing.Halves).WithLayers((layer, i) => layer with
        {
            FeedForwardNorm = "post_attention_norm",
            Attention = layer.Attention with
            {
                Sinks = true,
                WindowKind = windowed[i] ? WindowKind.Sliding : WindowKind.Full,
                Window = window,
                Rope = windowed[i] && windowedBase is { } other ? layer.Attention.Rope! with { Base = other } : layer.Attention.Rope,
            },
            FeedForward = layer.FeedForward with
            {
                Length = ExpertKeys.Length(p) ?? layer.FeedForward.Length,
                Activation = Activation.SwigluOai,
                Experts = experts,
            },
        });
    }
}
