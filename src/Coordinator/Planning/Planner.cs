using System.Globalization;
using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>
/// Decides which node holds which layers: the fastest slowest stage, then the least latency, within every node's memory. A pure, deterministic function that
/// explains its result.
/// </summary>
public static class Planner
{
    /// <summary>Bounds the search to well under a second; only cells of more than a dozen unlike nodes exceed it.</summary>
    private const double MaxEffort = 4e7;

    public static PlanResult Make(PlanRequest request)
    {
        ModelCost model = request.Model;
        int stages = request.Ranges?.Count ?? Math.Min(request.Stages, model.LayerCount);
        if (request.Ranges is { } ranges && ranges[^1].End != model.LayerCount)
        {
            return Problem($"the ranges end at layer {ranges[^1].End - 1}, but the model's last layer is {model.LayerCount - 1}");
        }

        if (stages < 1 || stages > request.Nodes.Count)
        {
            return Problem($"{stages} stages are asked for, but {request.Nodes.Count} nodes are up");
        }

        IReadOnlyList<NodeCapacity> candidates = Candidates(model, request.Nodes, stages, out bool all);
        var stageLayout = new LayoutSearch(model, candidates, stages, request.Ranges).Run(out LayoutCost cost);
        if (stageLayout is null)
        {
            return Problem(DoesNotFit(model, request.Nodes, stages));
        }

        var costs = new StageCosts(model, stages > 1);
        int blocks = KvBudget.Blocks(model, costs, stageLayout);
        var pipeline = new PipelinePlan([.. stageLayout.Select(stage => new StagePlan(stage.Node.Name, stage.Layers, model.WeightBytes(stage.Layers)))]);
        int sequences = Math.Min(KvBudget.MaxSequences, blocks);
        return new PlanResult(new Plan([pipeline], blocks, sequences, Explain(model, stageLayout, costs, cost, blocks, all ? null : candidates.Count)), null);
    }

    private static PlanResult Problem(string sentence) => new(null, sentence);

    /// <summary>The nodes to search over: all, or the best of them where searching over all would take too long.</summary>
    private static IReadOnlyList<NodeCapacity> Candidates(ModelCost model, IReadOnlyList<NodeCapacity> nodes, int stages, out bool all)
    {
        var ordered = nodes
            .OrderByDescending(node => (double)node.BytesPerSecond * Math.Max(1, node.FreeBytes))
            .ThenBy(node => node.Name.Value, StringComparer.Ordinal)
            .ToList();
        all = true;
        while (ordered.Count > Math.Max(stages, 8) && LayoutSearch.Effort(model, ordered) > MaxEffort)
        {
            ordered.RemoveAt(ordered.Count - 1);
            all = false;
        }

        if (LayoutSearch.Effort(model, ordered) > MaxEffort * 64)
        {
            // More unlike nodes than an exact search can tell apart: the slowest figure of each then stands for all.
            all = false;
            return [.. ordered.Select(node => node with
            {
                FreeBytes = ordered.Min(n => n.FreeBytes),
                BytesPerSecond = ordered.Min(n => n.BytesPerSecond),
                LinkSeconds = ordered.Max(n => n.LinkSeconds),
                LinkBytesPerSecond = ordered.Min(n => n.LinkBytesPerSecond),
            })];
        }

        return ordered;
    }

    private static string DoesNotFit(ModelCost model, IReadOnlyList<NodeCapacity> nodes, int stages)
    {
        var whole = new LayerRange(0, model.LayerCount);
        var costs = new StageCosts(model, stages > 1);
        long needed = costs.ResidentBytes(whole) + costs.KvBytes(whole, model.BlocksPerSequence);
        long offered = nodes.OrderByDescending(node => node.FreeBytes).Take(stages).Sum(node => Math.Max(0, node.FreeBytes));
        string each = string.Join(", ", nodes.Select(node => $"{node.Name} {Bytes(node.FreeBytes)}"));
        return $"the model does not fit in memory: it needs {Bytes(needed)} for weights and the cache of one context of {model.ContextLength} tokens, in {stages} "
            + $"{(stages == 1 ? "stage" : "stages")} of whole layers, and the nodes offer {Bytes(offered)} ({each})";
    }

    private static List<string> Explain(
        ModelCost model, IReadOnlyList<(NodeCapacity Node, LayerRange Layers)> stages, StageCosts costs, LayoutCost cost, int blocks, int? candidates)
    {
        var sentences = new List<string>();
        foreach ((NodeCapacity node, LayerRange layers) in stages)
        {
            sentences.Add(string.Create(CultureInfo.InvariantCulture,
                $"{node.Name} holds layers {layers} ({Bytes(model.WeightBytes(layers))}), {costs.BusyTime(layers, node) / 1e6:0.000} ms a token."));
        }

        sentences.Add(string.Create(CultureInfo.InvariantCulture,
            $"The slowest of {stages.Count} stages takes {cost.Slowest / 1e6:0.000} ms, a token through all of them {cost.Latency / 1e6:0.000} ms."));
        sentences.Add($"The cache has {blocks} blocks of {KvCache.BlockPositions} positions: {blocks / model.BlocksPerSequence} contexts of {model.ContextLength} tokens at once.");
        if (candidates is not null)
        {
            sentences.Add($"The cell has too many unlike nodes to try all; the {candidates} best were considered.");
        }

        return sentences;
    }

    private static string Bytes(long bytes) => bytes >= 1 << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 30):0.00} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):0.0} MiB");
}
