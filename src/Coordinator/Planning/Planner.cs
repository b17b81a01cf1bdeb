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

    /// <summary>Nodes beyond these are not told apart one by one.</summary>
    private const int MaxUnlike = 24;

    private const int MaxGroups = 8;

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
        var stageLayout = new LayoutSearch(model, candidates, stages, request.Ranges, request.Objective).Run(out LayoutCost cost);
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
        if (LayoutSearch.Effort(model, ordered, stages) <= MaxEffort)
        {
            return ordered;
        }

        // The best nodes alone, as long as they are few enough to be told apart; else more of them, told apart less finely.
        all = false;
        List<NodeCapacity> best = ordered[..Math.Min(ordered.Count, Math.Max(stages, MaxUnlike))];
        while (best.Count > stages && LayoutSearch.Effort(model, best, stages) > MaxEffort)
        {
            best.RemoveAt(best.Count - 1);
        }

        if (LayoutSearch.Effort(model, best, stages) <= MaxEffort)
        {
            return best;
        }

        List<NodeCapacity> alike = [];
        for (int groups = MaxGroups; groups >= 1; groups--)
        {
            alike = Alike(ordered[..Math.Min(ordered.Count, 2 * stages)], groups);
            if (LayoutSearch.Effort(model, alike, stages) <= MaxEffort)
            {
                break;
            }
        }

        return alike;
    }

    /// <summary>Nodes in groups by speed and memory, each with the slowest figures of its group, so that whatever is planned with these fits the nodes themselves.</summary>
    private static List<NodeCapacity> Alike(List<NodeCapacity> nodes, int groups) =>
        [.. nodes.OrderByDescending(node => node.BytesPerSecond).ThenByDescending(node => node.FreeBytes).ThenBy(node => node.Name.Value, StringComparer.Ordinal)
            .Chunk((nodes.Count + groups - 1) / groups)
            .SelectMany(group => group.Select(node => node with
            {
                FreeBytes = group.Min(n => n.FreeBytes),
                BytesPerSecond = group.Min(n => n.BytesPerSecond),
                LinkSeconds = group.Max(n => n.LinkSeconds),
                LinkBytesPerSecond = group.Min(n => n.LinkBytesPerSecond),
            }))];

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
                $"{node.Name} holds layers {layers} ({Bytes(model.WeightBytes(layers))}), {costs.BusyTime(layers, node) / 1e6:0.000} ms a token{(IsFull(model, costs, node, layers) ? ": as many as its memory takes" : "")}."));
        }

        sentences.Add(string.Create(CultureInfo.InvariantCulture,
            $"The slowest of {stages.Count} stages takes {cost.Slowest / 1e6:0.000} ms, a token through all of them {cost.Latency / 1e6:0.000} ms."));
        sentences.Add(WhatWouldHelp(model, stages, costs));
        sentences.Add($"The cache has {blocks} blocks of {KvCache.BlockPositions} positions: {blocks / model.BlocksPerSequence} contexts of {model.ContextLength} tokens at once.");
        if (candidates is not null)
        {
            sentences.Add($"The cell has too many unlike nodes to try all; the {candidates} best were considered.");
        }

        return sentences;
    }

    /// <summary>Whether another layer, on either side of those it has, would not fit beside the cache of one context.</summary>
    private static bool IsFull(ModelCost model, StageCosts costs, NodeCapacity node, LayerRange layers) =>
        (layers.First == 0 || !costs.Fits(new LayerRange(layers.First - 1, layers.End), node))
        && (layers.End == model.LayerCount || !costs.Fits(new LayerRange(layers.First, layers.End + 1), node))
        && layers.Count < model.LayerCount;

    private static string WhatWouldHelp(ModelCost model, IReadOnlyList<(NodeCapacity Node, LayerRange Layers)> stages, StageCosts costs)
    {
        (NodeCapacity slowest, LayerRange most) = stages.MaxBy(stage => costs.BusyTime(stage.Layers, stage.Node));
        string[] full = [.. stages.Where(stage => stage.Node != slowest && IsFull(model, costs, stage.Node, stage.Layers)).Select(stage => stage.Node.Name.Value)];
        return full.Length > 0 ? $"More memory on {string.Join(", ", full)} would let {(full.Length == 1 ? "it" : "them")} take layers off {slowest.Name}, the slowest."
            : most.Count > 1 ? $"{slowest.Name} is the slowest: a faster node in its place, or one more stage, would help."
            : $"{slowest.Name} is the slowest with a single layer: only a faster node in its place would help.";
    }

    private static string Bytes(long bytes) => bytes >= 1 << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 30):0.00} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):0.0} MiB");
}
