namespace Lamina.Compute.Model.Architectures;

/// <summary>The metadata keys of layers with experts.</summary>
internal static class ExpertKeys
{
    /// <summary>Null when the model has no experts.</summary>
    public static ExpertShape? Read(HyperParameters p)
    {
        int count = p.FindInt("expert_count", 0, HyperParameters.MaxExperts) ?? 0;
        if (count == 0)
        {
            return null;
        }

        return new ExpertShape
        {
            Count = count,
            Used = p.Int("expert_used_count", 1, count),
            WeightScale = p.FindFloat("expert_weights_scale") is { } scale && scale != 0 ? scale : 1,
        };
    }
}
