namespace Lamina.Compute.Model.Architectures;

/// <summary>Granite 3: Llama with four scale factors; its form with experts may have a shared one.</summary>
internal static class Granite
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = Llama.Read(p);
        bool rotates = p.Bool("rope.scaling.finetuned", absent: true);
        int shared = p.FindInt("expert_shared_feed_forward_length", 0, HyperParameters.MaxWidth) ?? 0;
        return (shape with
        {
            EmbeddingScale = Factor(p, "embedding_scale"),
            ResidualScale = Factor(p, "residual_scale"),
            LogitScale = 1 / Factor(p, "logit_scale"),
        }).WithLayers((layer, _) => layer with
        {
            Attention = layer.Attention with { Rope = rotates ? layer.Attention.Rope : null },
            FeedForward = layer.FeedForward with { Experts = layer.FeedForward.Experts is { } experts ? experts with { SharedLength = shared } : null },
        });
    }

    /// <summary>0 counts as absent.</summary>
    private static float Factor(HyperParameters p, string name) => p.FindFloat(name) is { } factor && factor != 0 ? factor : 1;
}
