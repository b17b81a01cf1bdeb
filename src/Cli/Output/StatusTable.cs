using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Lamina.Cli.Output;

/// <summary>A coordinator's <c>/status.json</c> for people: as text, as one line for each model, as a terminal's table.</summary>
internal static class StatusTable
{
    public static string ToText(JsonObject status)
    {
        var text = new StringBuilder();
        Line(text, $"cell {Text(status, "tenant")}");
        foreach (JsonNode deployment in Each(status, "deployments"))
        {
            Line(text, $"{Summary(deployment)}");
            foreach (JsonNode stage in Each(deployment, "stages"))
            {
                Line(text, $"  stage {Place(stage),-6} {Text(stage, "node"),-20} layers {Layers(stage),-9} {Text(stage, "phase"),-12} {Bytes(stage, "memoryBytes"),12}");
            }
        }

        foreach (JsonNode node in Each(status, "nodes"))
        {
            Line(text, $"node {Text(node, "name"),-20} {Text(node, "device"),-8} {Number(node, "cores"),3:0} cores {Bytes(node, "memoryUsedBytes"),12} of {Bytes(node, "memoryBytes")}, version {Text(node, "version")}");
        }

        return text.ToString().TrimEnd();
    }

    public static IEnumerable<string> ToLines(JsonObject status, DateTime now)
    {
        string time = now.ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        JsonNode[] nodes = [.. Each(status, "nodes")];
        return Each(status, "deployments").Select(deployment => $"{time} {Summary(deployment)}, {nodes.Length} nodes");
    }

    public static IRenderable ToTable(JsonObject status, DateTime now)
    {
        var models = new Table().Border(TableBorder.Rounded).Title(Markup.Escape($"cell {Text(status, "tenant")}, {now.ToString("HH:mm:ss", CultureInfo.InvariantCulture)}"));
        models.AddColumns("model", "phase", "epoch", "running", "waiting", "tokens/s", "cache blocks", "stages");
        foreach (JsonNode deployment in Each(status, "deployments"))
        {
            string stages = string.Join("\n", Each(deployment, "stages").Select(stage => $"{Place(stage)} {Text(stage, "node")} layers {Layers(stage)} {Text(stage, "phase")} {Bytes(stage, "memoryBytes")}"));
            string problem = Text(deployment, "problem") is { Length: > 0 } sentence ? "\n" + sentence : "";
            models.AddRow(
                new Text(Text(deployment, "name")), new Text(Text(deployment, "phase") + problem), new Text(Count(deployment, "epoch")), new Text(Count(deployment, "running")),
                new Text(Waiting(deployment)), new Text(Rate(deployment)), new Text(Blocks(deployment)), new Text(stages));
        }

        var nodes = new Table().Border(TableBorder.Rounded);
        nodes.AddColumns("node", "device", "cores", "memory", "version");
        foreach (JsonNode node in Each(status, "nodes"))
        {
            nodes.AddRow(new Text(Text(node, "name")), new Text(Text(node, "device")), new Text(Count(node, "cores")), new Text($"{Bytes(node, "memoryUsedBytes")} of {Bytes(node, "memoryBytes")}"), new Text(Text(node, "version")));
        }

        return new Rows(models, nodes);
    }

    private static string Summary(JsonNode deployment)
    {
        string problem = Text(deployment, "problem") is { Length: > 0 } sentence ? $": {sentence}" : "";
        return $"{Text(deployment, "name")} {Text(deployment, "phase")}, epoch {Count(deployment, "epoch")}, {Count(deployment, "running")} running, {Waiting(deployment)} waiting, {Rate(deployment)} tokens/s, cache {Blocks(deployment)}{problem}";
    }

    // Names are the coordinator's, but a terminal must not obey what stands in them.
    private static string Text(JsonNode from, string name) => TerminalText.Line(from[name]?.ToString() ?? "");

    private static double Number(JsonNode from, string name) => from[name] is JsonValue value && value.TryGetValue(out double number) ? number : 0;

    private static string Count(JsonNode from, string name) => Number(from, name).ToString("0", CultureInfo.InvariantCulture);

    private static string Waiting(JsonNode deployment) => Math.Max(0, Number(deployment, "active") - Number(deployment, "running")).ToString("0", CultureInfo.InvariantCulture);

    private static string Rate(JsonNode deployment) => Number(deployment, "tokensPerSecond").ToString("0.0", CultureInfo.InvariantCulture);

    private static string Blocks(JsonNode deployment) => string.Create(CultureInfo.InvariantCulture, $"{Number(deployment, "kvBlocks") - Number(deployment, "freeKvBlocks"):0} of {Number(deployment, "kvBlocks"):0}");

    private static string Place(JsonNode stage) => $"{Count(stage, "pipeline")}.{Count(stage, "stage")}";

    private static string Layers(JsonNode stage) => $"{Count(stage, "firstLayer")}-{Count(stage, "lastLayer")}";

    private static string Bytes(JsonNode from, string name) => string.Create(CultureInfo.InvariantCulture, $"{Number(from, name) / 1048576:0.0} MiB");

    private static IEnumerable<JsonNode> Each(JsonNode from, string name) => (from[name] as JsonArray ?? []).OfType<JsonNode>();

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
