using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>Qwen 2 and 2.5 (biases on q, k and v), Qwen 3 (norms of q and k), and their forms with experts.</summary>
internal static class Qwen
{
    /// <summary>Qwen 1, whose feed-forward length counts gate and up together.</summary>
    public static ModelShape Read1(HyperParameters p) => Read2(p).WithFeedForward((block, _) => block with { Length = block.Length / 2 });

    public static ModelShape Read2(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves);

    public static ModelShape Read2Experts(HyperParameters p)
    {
        ExpertShape experts = ExpertKeys.Need(p);
        return Read2(p).WithFeedForward((block, _) => block with
        {
            Length = ExpertKeys.Length(p) ?? block.Length / experts.Used,
            Experts = experts with { SharedLength = p.FindInt("expert_shared_feed_forward_length", 1, HyperParameters.MaxWidth) ?? block.Length, SharedGate = true },
        });
    }

    public static ModelShape Read3(HyperParameters p) =>
        Read2(p).WithAttention((attention, _) => attention with { HeadNorm = HeadNorm.PerHead });

    public static ModelShape Read3Experts(HyperParameters p)
    {
        ExpertShape experts = ExpertKeys.Need(p);
        return Read3(p).WithFeedForward((block, _) => block with
        {
            Length = ExpertKeys.Length(p) ?? block.Length / experts.Used,
            Experts = experts with { Normalise = true },
        });
    }
}
