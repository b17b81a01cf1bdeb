using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Planning;

namespace Lamina.Cli.Output;

/// <summary>What a run gave.</summary>
/// <param name="StageBytes">Memory of each stage, head first.</param>
internal sealed record PlanMeasurement(double TokensPerSecond, IReadOnlyList<long> StageBytes);

/// <summary>A layout with its prediction, as text and as JSON; beside it what was measured, where something was.</summary>
internal sealed record PlanReport(ModelCost Model, PlanForecast Forecast, int KvBlocks, int? MaxSequences, IReadOnlyList<string> Explanation)
{
    public PlanMeasurement? Measured { get; init; }

    public string ToText()
    {
        var text = new StringBuilder();
        Line(text, $"{"stage",-6}{"node",-20}{"layers",-10}{"weights",12}{"cache",12}{"memory",12}{"ms/token",10}{(Measured is null ? "" : $"{"measured",12}")}");
        for (int i = 0; i < Forecast.Stages.Count; i++)
        {
            StageForecast stage = Forecast.Stages[i];
            string layers = $"{stage.Layers.First}-{stage.Layers.End - 1}";
            string measured = Measured is null ? "" : $"{Bytes(Measured.StageBytes[i]),12}";
            Line(text, $"{i,-6}{stage.Node.Name,-20}{layers,-10}{Bytes(stage.WeightBytes),12}{Bytes(stage.KvBytes),12}{Bytes(stage.ResidentBytes + stage.KvBytes),12}{stage.BusySeconds * 1e3,10:0.000}{measured}");
        }

        Line(text, $"predicted: {Rate(Forecast.TokensPerSecond)} for one stream, {Rate(Forecast.PipelinedTokensPerSecond)} with a stream for each stage");
        if (Measured is not null)
        {
            Line(text, $"measured:  {Rate(Measured.TokensPerSecond)} for one stream, {Measured.TokensPerSecond / Forecast.TokensPerSecond:0.00} of the prediction");
        }

        foreach (string sentence in Explanation)
        {
            Line(text, $"{sentence}");
        }

        return text.ToString().TrimEnd();
    }

    public string ToJson()
    {
        var stages = new JsonArray();
        for (int i = 0; i < Forecast.Stages.Count; i++)
        {
            StageForecast stage = Forecast.Stages[i];
            var entry = new JsonObject
            {
                ["node"] = stage.Node.Name.Value,
                ["firstLayer"] = stage.Layers.First,
                ["lastLayer"] = stage.Layers.End - 1,
                ["weightBytes"] = stage.WeightBytes,
                ["kvBytes"] = stage.KvBytes,
                ["memoryBytes"] = stage.ResidentBytes + stage.KvBytes,
                ["millisecondsPerToken"] = Round(stage.BusySeconds * 1e3),
            };
            if (Measured is not null)
            {
                entry["measuredMemoryBytes"] = Measured.StageBytes[i];
            }

            stages.Add(entry);
        }

        var json = new JsonObject
        {
            ["contextLength"] = Model.ContextLength,
            ["kvBlocks"] = KvBlocks,
            ["stages"] = stages,
            ["tokensPerSecond"] = Round(Forecast.TokensPerSecond),
            ["pipelinedTokensPerSecond"] = Round(Forecast.PipelinedTokensPerSecond),
        };
        if (MaxSequences is { } sequences)
        {
            json["maxSequences"] = sequences;
        }

        if (Measured is not null)
        {
            json["measuredTokensPerSecond"] = Round(Measured.TokensPerSecond);
        }

        json["explanation"] = new JsonArray([.. Explanation.Select(sentence => (JsonNode)sentence)]);
        return json.ToJsonString();
    }

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');

    private static double Round(double value) => double.IsFinite(value) ? Math.Round(value, 4) : 0;

    private static string Rate(double tokens) => double.IsFinite(tokens) ? string.Create(CultureInfo.InvariantCulture, $"{tokens:0.0} tokens/s") : "no limit";

    private static string Bytes(long bytes) => bytes >= 1L << 30
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.00} GiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):0.0} MiB");
}
