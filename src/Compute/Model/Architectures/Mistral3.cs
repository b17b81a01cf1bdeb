namespace Lamina.Compute.Model.Architectures;

/// <summary>Mistral 3 and Ministral 3: Llama whose queries grow with the logarithm of their position beyond the trained context.</summary>
internal static class Mistral3
{
    public static ModelShape Read(HyperParameters p)
    {
        ModelShape shape = Llama.Read(p);
        return p.FindFloat("attention.temperature_scale") is not { } scale || scale == 0 ? shape
            : shape.WithAttention((attention, _) => attention with { Growth = new QueryGrowth(scale, attention.Rope!.OriginalContext) });
    }
}
