namespace Lamina.Coordinator.Planning;

/// <summary>How much key/value cache a pipeline gets.</summary>
internal static class KvBudget
{
    /// <summary>Sequences that may hold blocks at once, however small the model is.</summary>
    public const int MaxSequences = 64;

    /// <summary>
    /// Of the memory left beside the weights, the share that caches may take: other deployments and a plan that is built beside this one need the rest.
    /// </summary>
    private const double Share = 0.5;

    /// <summary>A cache beyond this serves long idle contexts more than throughput.</summary>
    private const long MaxBytesPerStage = 8L << 30;

    /// <summary>Blocks that fit every stage, from one sequence of full context up to <see cref="MaxSequences"/> of them.</summary>
    public static int Blocks(ModelCost model, StageCosts costs, IEnumerable<(NodeCapacity Node, Compute.Model.LayerRange Layers)> stages)
    {
        long wanted = (long)model.BlocksPerSequence * MaxSequences;
        foreach ((NodeCapacity node, Compute.Model.LayerRange layers) in stages)
        {
            long perBlock = Math.Max(1, costs.KvBytes(layers, 1));
            long budget = Math.Min(MaxBytesPerStage, (long)((node.FreeBytes - costs.ResidentBytes(layers)) * Share));
            wanted = Math.Min(wanted, budget / perBlock);
        }

        return (int)Math.Clamp(wanted, model.BlocksPerSequence, 1 << 24);
    }
}
