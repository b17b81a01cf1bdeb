using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>How good a layout is, compared in this order; smaller is better. Times in nanoseconds, so that sums do not depend on their order.</summary>
/// <param name="Slowest">Time a token keeps the slowest stage busy: the reciprocal of the pipeline's throughput.</param>
/// <param name="Latency">Time of one token through all stages and hops.</param>
/// <param name="Unevenness">Sum of the squares of the stages' times: among equals, the most even layout.</param>
internal readonly record struct LayoutCost(long Slowest, long Latency, UInt128 Unevenness) : IComparable<LayoutCost>
{
    public int CompareTo(LayoutCost other)
    {
        int bySlowest = Slowest.CompareTo(other.Slowest);
        int byLatency = bySlowest != 0 ? bySlowest : Latency.CompareTo(other.Latency);
        return byLatency != 0 ? byLatency : Unevenness.CompareTo(other.Unevenness);
    }
}

/// <summary>What one stage of a layout costs on a node, and whether it fits there.</summary>
internal sealed class StageCosts(ModelCost model, bool manyStages)
{
    /// <summary>Share of the weights that repacking and the workspace of a step may add.</summary>
    private const int OverheadDivisor = 16;

    private readonly long[] _layerSums = Sums(model.LayerBytes);
    private readonly long[] _kvSums = Sums(model.KvBlockBytes);

    /// <summary>Bytes a stage takes besides its key/value cache.</summary>
    public long ResidentBytes(LayerRange layers)
    {
        long weights = Weights(layers) + (layers.First == 0 ? model.EmbeddingBytes + model.DraftBytes : 0);
        return weights + (weights / OverheadDivisor);
    }

    public long KvBytes(LayerRange layers, long blocks) => (_kvSums[layers.End] - _kvSums[layers.First]) * blocks;

    /// <summary>Whether weights and the cache of one sequence of full context fit.</summary>
    public bool Fits(LayerRange layers, NodeCapacity node) =>
        ResidentBytes(layers) + KvBytes(layers, model.BlocksPerSequence) <= node.FreeBytes;

    /// <summary>Nanoseconds that a token keeps the stage busy: streaming its weights, and receiving its row.</summary>
    public long BusyTime(LayerRange layers, NodeCapacity node) =>
        Nanoseconds(Weights(layers), node.BytesPerSecond) + (manyStages ? Nanoseconds(model.RowBytes, node.LinkBytesPerSecond) : 0);

    /// <summary>Nanoseconds that a token waits for a hop to the stage; the head waits for the tail's token.</summary>
    public long HopTime(NodeCapacity node) => manyStages ? (long)(node.LinkSeconds * 1e9) : 0;

    private long Weights(LayerRange layers) =>
        _layerSums[layers.End] - _layerSums[layers.First] + (layers.End == model.LayerCount ? model.OutputBytes : 0);

    private static long Nanoseconds(long bytes, long bytesPerSecond) =>
        (long)UInt128.Min((UInt128)bytes * 1_000_000_000 / (ulong)Math.Max(1, bytesPerSecond), long.MaxValue >> 16);

    private static long[] Sums(IReadOnlyList<long> values)
    {
        long[] sums = new long[values.Count + 1];
        for (int i = 0; i < values.Count; i++)
        {
            sums[i + 1] = sums[i] + values[i];
        }

        return sums;
    }
}
