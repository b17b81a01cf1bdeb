namespace Lamina.Compute.Model.Architectures;

/// <summary>The metadata keys of layers with experts.</summary>
internal static class ExpertKeys
{
    /// <summary>Null when the model has no experts.</summary>
    public static ExpertShape? Find(HyperParameters p)
    {
        int count = p.FindInt("expert_count", 0, HyperParameters.MaxExperts) ?? 0;
        if (count == 0)
        {
            return null;
        }

        int groups = Math.Max(1, p.FindInt("expert_group_count", 0, count) ?? 1);
        if (count % groups != 0)
        {
            throw new InvalidDataException($"{count} experts do not divide into {groups} groups");
        }

        int groupsUsed = groups == 1 ? 1 : p.Int("expert_group_used_count", 1, groups);
        int used = p.Int("expert_used_count", 1, count / groups * groupsUsed);
        return new ExpertShape
        {
            Count = count,
            Used = used,
            Groups = groups,
            GroupsUsed = groupsUsed,
            WeightScale = p.FindFloat("expert_weights_scale") is { } scale && scale != 0 ? scale : 1,
        };
    }

    /// <summary>The layers after the leading dense ones get experts of their own width, and shared ones beside them.</summary>
    public static ModelShape AfterDense(this ModelShape shape, HyperParameters p, Func<ExpertShape, ExpertShape> change)
    {
        if (Find(p) is not { } experts)
        {
            return shape;
        }

        int dense = p.FindInt("leading_dense_block_count", 0, HyperParameters.MaxLayers) ?? 0;
        int? length = Length(p);
        int shared = p.FindInt("expert_shared_feed_forward_length", 0, HyperParameters.MaxWidth) is { } given and > 0 ? given
            : (length ?? 0) * (p.FindInt("expert_shared_count", 0, HyperParameters.MaxExperts) ?? 0);
        experts = change(experts with { SharedLength = shared });
        return shape.WithFeedForward((block, i) => i < dense ? block : block with { Length = length ?? block.Length, Experts = experts });
    }

    public static ExpertShape Need(HyperParameters p) =>
        Find(p) ?? throw new InvalidDataException($"'{p.Key("expert_count")}' is missing or 0, expected the number of experts");

    /// <summary>Inner width of one expert, or null when the metadata does not say.</summary>
    public static int? Length(HyperParameters p) =>
        p.FindInt("expert_feed_forward_length", 0, HyperParameters.MaxWidth) is { } length and > 0 ? length : null;

    /// <summary>The router's function by GGUF's number.</summary>
    public static RouterKind? Router(HyperParameters p) => p.FindInt("expert_gating_func", 0, int.MaxValue) switch
    {
        null or 0 => null,
        1 => RouterKind.Softmax,
        2 => RouterKind.Sigmoid,
        3 => RouterKind.SoftmaxOfChosen,
        { } other => throw new NotSupportedException($"expert routing function {other} ('{p.Key("expert_gating_func")}') is not supported; 1 to 3 are"),
    };
}
