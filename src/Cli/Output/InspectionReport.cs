using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Model;

namespace Lamina.Cli.Output;

/// <summary>A model's inspection as a table for people and as JSON for programs.</summary>
internal static class InspectionReport
{
    public static string ToText(ModelInspection model, bool withTensors)
    {
        StringBuilder text = new();
        Line("architecture", model.Architecture);
        Line("name", model.Name);
        Line("file", $"GGUF version {model.GgufVersion}, {Size(model.FileBytes)}{(model.FileType is { } type ? $", {type}" : "")}");
        Line("parameters", Invariant($"{model.Parameters:N0}"));
        Line("layers", Invariant($"{model.Layers}"));
        Line("embedding", Invariant($"{model.Embedding}"));
        Line("context", Invariant($"{model.Context}"));
        Line("vocabulary", Invariant($"{model.Vocabulary}"));
        Line("tokenizer", model.Tokenizer);
        Line("chat template", model.HasChatTemplate ? "yes" : "no");
        Line("cache", model.KvBytesPerPosition is { } bytes ? Invariant($"{bytes:0} bytes a position (f16)") : null);
        foreach (InspectedType kind in model.Types)
        {
            Line("type " + kind.Type, Invariant($"{kind.Tensors} tensors, {kind.Parameters:N0} parameters, {Size(kind.Bytes)}"));
        }

        if (model.LayerBytes.Count > 0)
        {
            foreach ((int first, int last, long size) in Runs(model.LayerBytes))
            {
                Line(first == last ? $"layer {first}" : $"layers {first}-{last}", $"{Size(size)}{(first == last ? "" : " each")}");
            }

            Line("outside layers", Size(model.SharedBytes));
        }

        if (withTensors)
        {
            foreach (InspectedTensor tensor in model.Tensors)
            {
                text.AppendLine(Invariant($"  {TerminalText.Line(tensor.Name),-40} {tensor.Type,-8} {string.Join(" x ", tensor.Dimensions),-24} {Size(tensor.Bytes),12}"));
            }
        }

        Line("unsupported", model.Unsupported.Count == 0 ? "nothing" : string.Join("; ", model.Unsupported));
        return text.ToString().TrimEnd();

        void Line(string label, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                text.AppendLine($"{label,-16} {TerminalText.Line(value)}");
            }
        }
    }

    /// <summary>Neighbouring layers of the same size, together.</summary>
    internal static IEnumerable<(int First, int Last, long Bytes)> Runs(IReadOnlyList<long> layers)
    {
        for (int first = 0, next; first < layers.Count; first = next)
        {
            for (next = first + 1; next < layers.Count && layers[next] == layers[first]; next++)
            {
            }

            yield return (first, next - 1, layers[first]);
        }
    }

    public static string ToJson(ModelInspection model) => new JsonObject
    {
        ["architecture"] = model.Architecture,
        ["name"] = model.Name,
        ["ggufVersion"] = model.GgufVersion,
        ["fileType"] = model.FileType,
        ["fileBytes"] = model.FileBytes,
        ["parameters"] = model.Parameters,
        ["layers"] = model.Layers,
        ["embedding"] = model.Embedding,
        ["context"] = model.Context,
        ["vocabulary"] = model.Vocabulary,
        ["tokenizer"] = model.Tokenizer,
        ["chatTemplate"] = model.HasChatTemplate,
        ["kvBytesPerPosition"] = model.KvBytesPerPosition,
        ["types"] = new JsonArray([.. model.Types.Select(kind => (JsonNode)new JsonObject
        {
            ["type"] = kind.Type.ToString(),
            ["tensors"] = kind.Tensors,
            ["parameters"] = kind.Parameters,
            ["bytes"] = kind.Bytes,
        })]),
        ["layerBytes"] = new JsonArray([.. model.LayerBytes.Select(bytes => (JsonNode)bytes)]),
        ["sharedBytes"] = model.SharedBytes,
        ["tensors"] = new JsonArray([.. model.Tensors.Select(tensor => (JsonNode)new JsonObject
        {
            ["name"] = tensor.Name,
            ["type"] = tensor.Type.ToString(),
            ["dimensions"] = new JsonArray([.. tensor.Dimensions.Select(length => (JsonNode)length)]),
            ["bytes"] = tensor.Bytes,
        })]),
        ["unsupported"] = new JsonArray([.. model.Unsupported.Select(what => (JsonNode)what)]),
    }.ToJsonString(new JsonSerializerOptions(Json.Readable) { WriteIndented = true });

    private static string Size(long bytes) => bytes >= 1L << 30 ? Invariant($"{bytes / 1073741824.0:0.00} GiB") : Invariant($"{bytes / 1048576.0:0.0} MiB");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
