namespace Lamina.Compute.Model.Architectures;

/// <summary>MiniCPM: Granite's factors with values of its own where the file names none.</summary>
internal static class MiniCpm
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = Llama.Read(p);
        return shape with
        {
            EmbeddingScale = Factor(p, "embedding_scale", 12),
            ResidualScale = Factor(p, "residual_scale", 1.4f / MathF.Sqrt(shape.LayerCount)),
            LogitScale = 1 / Factor(p, "logit_scale", 256f / shape.EmbeddingLength),
        };
    }

    private static float Factor(HyperParameters p, string name, float absent) => p.FindFloat(name) is { } factor && factor != 0 ? factor : absent;
}
