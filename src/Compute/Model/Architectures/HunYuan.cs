using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Model.Architectures;

/// <summary>HunYuan, dense and with experts beside a shared one: heads are normed after they rotated.</summary>
internal static class HunYuan
{
    public static ModelShape Read(HyperParameters p) => CommonShape.Read(p, RopePairing.Halves)
        .WithAttention((attention, _) => attention with { HeadNorm = HeadNorm.PerHead, HeadNormAfterRope = true });

    public static ModelShape ReadExperts(HyperParameters p)
    {
        ExpertShape experts = ExpertKeys.Need(p);
        return Read(p).WithFeedForward((block, _) => block with
        {
            Length = ExpertKeys.Length(p) ?? block.Length,
            Experts = experts with { Normalise = true, SharedLength = p.Int("expert_shared_feed_forward_length", 1, HyperParameters.MaxWidth) },
        });
    }
}
