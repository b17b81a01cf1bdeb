using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model.Adapters;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>An adapter as a request names it: by name, or as llama.cpp does by its place in the model's list.</summary>
internal sealed record LoraChoice(string Path, string? Name, int? Id, float Scale);

/// <summary>Reads <c>lora</c>: <c>[{"name":"a","scale":0.5}]</c>, with <c>id</c> in place of the name as in llama.cpp.</summary>
internal static class LoraFields
{
    private const double MaxScale = 100;

    public static IReadOnlyList<LoraChoice> Read(JsonFields fields)
    {
        if (fields.Take("lora") is not { } json)
        {
            return [];
        }

        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType("lora", "an array", JsonFields.Kind(json)).AsException();
        }

        return json.GetArrayLength() <= StageAdapters.MaxUses
            ? [.. json.EnumerateArray().Select((choice, i) => ReadChoice(JsonFields.Of(choice, $"lora[{i}]")))]
            : throw ApiError.InvalidValue("lora", $"'lora' has {json.GetArrayLength()} entries; at most {StageAdapters.MaxUses} are allowed").AsException();
    }

    /// <summary>What a pipeline is told. An adapter that the caller may not use and one that does not exist get the same answer.</summary>
    public static IReadOnlyList<GenerationProtocol.AdapterSetting>? Resolve(IReadOnlyList<LoraChoice> choices, ServedModel model, Caller caller)
    {
        var settings = new List<GenerationProtocol.AdapterSetting>();
        foreach (LoraChoice choice in choices)
        {
            string path = $"{choice.Path}.{(choice.Name is null ? "id" : "name")}";
            int number = choice.Id ?? Enumerable.Range(0, model.Adapters.Count).FirstOrDefault(i => model.Adapters[i].Name == choice.Name, -1);
            if ((uint)number >= (uint)model.Adapters.Count || (model.Adapters[number].Keys is { Length: > 0 } keys && !(caller.Key is { } key && keys.Contains(key))))
            {
                throw ApiError.InvalidValue(path, $"'{path}' names no adapter of the model").AsException();
            }

            if (settings.Any(setting => setting.Adapter == number))
            {
                throw ApiError.InvalidValue(path, $"'{path}' names an adapter twice").AsException();
            }

            settings.Add(new GenerationProtocol.AdapterSetting(number, choice.Scale));
        }

        // One at scale zero changes nothing, so that it need not part what could be shared.
        settings.RemoveAll(setting => setting.Scale == 0);
        return settings.Count == 0 ? null : settings;
    }

    private static LoraChoice ReadChoice(JsonFields fields)
    {
        string path = fields.PathOf("name")[..^".name".Length];
        string? name = fields.TakeString("name", ApiLimits.MaxModelNameLength);
        long? id = fields.TakeInteger("id", 0, int.MaxValue);
        if (name is null == id is null)
        {
            throw ApiError.InvalidValue(path, $"'{path}' must have either a name or an id").AsException();
        }

        var choice = new LoraChoice(path, name, (int?)id, (float)(fields.TakeNumber("scale", -MaxScale, MaxScale) ?? 1));
        fields.RefuseOthers();
        return choice;
    }
}
