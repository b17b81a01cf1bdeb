using Lamina.Compute.Model;

namespace Lamina.Coordinator.Planning;

/// <summary>What a stage will take and how long a token will keep it busy.</summary>
public sealed record StageForecast(NodeCapacity Node, LayerRange Layers, long WeightBytes, long ResidentBytes, long KvBytes, double BusySeconds);

/// <summary>What the planner's own figures say of a layout, before it runs.</summary>
/// <param name="TokensPerSecond">Of a single stream: a token passes through every stage before the next begins.</param>
/// <param name="PipelinedTokensPerSecond">With a stream for each stage, so that none of them waits.</param>
public sealed record PlanForecast(IReadOnlyList<StageForecast> Stages, double TokensPerSecond, double PipelinedTokensPerSecond)
{
    /// <param name="layout">Which node holds which layers, head first.</param>
    /// <param name="kvBlocks">Blocks of the cache in each stage.</param>
    public static PlanForecast Of(ModelCost model, IReadOnlyList<(NodeCapacity Node, LayerRange Layers)> layout, int kvBlocks)
    {
        var costs = new StageCosts(model, layout.Count > 1);
        StageForecast[] stages = [.. layout.Select(stage => new StageForecast(
            stage.Node, stage.Layers, model.WeightBytes(stage.Layers), costs.ResidentBytes(stage.Layers), costs.KvBytes(stage.Layers, kvBlocks), costs.BusyTime(stage.Layers, stage.Node) / 1e9))];
        double pass = stages.Sum(stage => stage.BusySeconds + (costs.HopTime(stage.Node) / 1e9));
        return new PlanForecast(stages, Rate(pass), Rate(stages.Max(stage => stage.BusySeconds)));
    }

    private static double Rate(double seconds) => seconds > 0 ? 1 / seconds : double.PositiveInfinity;
}
