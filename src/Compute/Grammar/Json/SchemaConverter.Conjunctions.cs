using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private const int MaxParts = 256;

    /// <summary>Of a schema that is read anew, beside a step of an automaton.</summary>
    private const int CharactersPerStep = 8;
    private static readonly JsonElement True = JsonSerializer.SerializeToElement(true);

    /// <summary>The reference of a schema that says nothing else; such schemas become rules, which may call themselves.</summary>
    private static JsonElement? PlainReference(JsonElement schema)
    {
        if (schema.TryGetProperty("allOf", out JsonElement all) && all.ValueKind == JsonValueKind.Array && all.GetArrayLength() == 1 && all[0].ValueKind == JsonValueKind.Object && SaysOnly(schema, "allOf"))
        {
            schema = all[0];
        }

        return schema.TryGetProperty("$ref", out JsonElement reference) && SaysOnly(schema, "$ref") ? reference : null;
    }

    private static bool SaysOnly(JsonElement schema, string keyword) => schema.EnumerateObject().All(member => member.Name == keyword || Annotations.Contains(member.Name));

    /// <summary>A rule of its own for each different one, so that a schema may extend another that leads back to it.</summary>
    private Pattern Conjunction(JsonElement schema, string path)
    {
        string text = " " + schema.GetRawText();
        if (!_references.TryGetValue(text, out int rule))
        {
            rule = _references[text] = _builder.Declare(path);
            _builder.Define(rule, Flat(Flatten(schema, path), path));
        }

        return Pattern.Rule(rule);
    }

    /// <summary>One schema without allOf and without a reference at its top.</summary>
    private JsonElement Flatten(JsonElement schema, string path)
    {
        if (!NeedsFlattening(schema))
        {
            return schema;
        }

        var open = new Stack<JsonNode?>();
        _budget.Spend(schema.GetRawText().Length / CharactersPerStep);
        open.Push(JsonNode.Parse(schema.GetRawText()));
        JsonObject merged = [];
        for (int parts = 0; open.TryPop(out JsonNode? part); parts++)
        {
            if (parts > MaxParts)
            {
                throw Error(path, $"allOf and references together have more than {MaxParts} parts");
            }

            if (part is JsonValue constant && constant.GetValueKind() == JsonValueKind.True)
            {
                continue;
            }

            JsonObject one = part as JsonObject ?? throw Error(path, part is JsonValue value && value.GetValueKind() == JsonValueKind.False ? "nothing is valid here" : "a schema must be an object");
            if (Detach(one, "allOf") is { } all)
            {
                foreach (JsonNode? inner in (all as JsonArray ?? throw Error(path, "allOf must be a list")).Reverse())
                {
                    open.Push(inner?.DeepClone());
                }
            }

            if (Detach(one, "$ref") is { } reference)
            {
                string target = Resolve(reference is JsonValue pointer && pointer.TryGetValue(out string? text) ? text : "", path).GetRawText();
                _budget.Spend(target.Length / CharactersPerStep);
                open.Push(JsonNode.Parse(target));
            }

            merged = SchemaMerge.Both(merged, one, path, _budget);
        }

        return JsonSerializer.SerializeToElement(merged);
    }

    /// <summary>Follows references and lone parts of an allOf, without merging.</summary>
    private JsonElement Resolved(JsonElement schema, string path)
    {
        for (int i = 0; i < GrammarLimits.Depth && schema.ValueKind == JsonValueKind.Object; i++)
        {
            if (schema.TryGetProperty("$ref", out JsonElement reference) && reference.ValueKind == JsonValueKind.String)
            {
                schema = Resolve(reference.GetString()!, path);
            }
            else if (schema.TryGetProperty("allOf", out _))
            {
                schema = Flatten(schema, path);
            }
            else
            {
                break;
            }
        }

        return schema;
    }

    private static bool NeedsFlattening(JsonElement schema) => schema.ValueKind == JsonValueKind.Object && (schema.TryGetProperty("allOf", out _) || schema.TryGetProperty("$ref", out _));

    private static JsonNode? Detach(JsonObject schema, string name)
    {
        JsonNode? value = schema[name];
        schema.Remove(name);
        return value;
    }
}
