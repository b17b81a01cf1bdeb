using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar.Regular;

namespace Lamina.Compute.Grammar.Json;

/// <summary>
/// One schema that says what two say together, for the values that both allow. What does not come together in one schema (as two formats) is refused;
/// parts below (a property that both name) become an <c>allOf</c>, merged when they are reached.
/// </summary>
internal static class SchemaMerge
{
    /// <summary>Several patterns of one text, as no schema of a user's can hold them.</summary>
    public const string Patterns = " patterns";
    private const int MaxAlternatives = 64;

    private static readonly HashSet<string> ObjectKeywords = ["properties", "required", "additionalProperties", "patternProperties"];

    public static JsonObject Both(JsonObject a, JsonObject b, string path, TextBudget budget)
    {
        budget.Spend(a.Count + b.Count);
        var merged = new JsonObject();
        foreach (string name in a.Select(pair => pair.Key).Concat(b.Select(pair => pair.Key)).Distinct().Where(name => !ObjectKeywords.Contains(name) && !SchemaConverter.Annotations.Contains(name)))
        {
            bool inA = a.TryGetPropertyValue(name, out JsonNode? left), inB = b.TryGetPropertyValue(name, out JsonNode? right);
            if (inA && inB)
            {
                Combine(merged, name, left, right, path);
            }
            else
            {
                merged[name] = (inA ? left : right)?.DeepClone();
            }
        }

        if (a.ContainsKey("enum") && b.ContainsKey("const"))
        {
            Combine(merged, "enum", a["enum"], new JsonArray(b["const"]?.DeepClone()), path);
            merged.Remove("const");
        }
        else if (b.ContainsKey("enum") && a.ContainsKey("const"))
        {
            Combine(merged, "enum", b["enum"], new JsonArray(a["const"]?.DeepClone()), path);
            merged.Remove("const");
        }

        Objects(merged, a, b, budget);
        return merged;
    }

    public static JsonObject AllOf(params IEnumerable<JsonNode?> parts) => new() { ["allOf"] = new JsonArray([.. parts.Select(part => part?.DeepClone())]) };

    private static void Combine(JsonObject merged, string name, JsonNode? a, JsonNode? b, string path)
    {
        switch (name)
        {
            case "type":
                string[] types = [.. Names(a).SelectMany(x => Names(b).Select(y => x == y ? x : (x, y) is ("integer", "number") or ("number", "integer") ? "integer" : null)).OfType<string>().Distinct()];
                merged[name] = types.Length switch
                {
                    0 => throw Error(path, $"no value is of the types {a!.ToJsonString()} and {b!.ToJsonString()} at once"),
                    1 => types[0],
                    _ => new JsonArray([.. types.Select(type => (JsonNode)type)]),
                };
                break;
            case "enum":
                HashSet<string> keys = [.. Values(b, path).Select(SchemaDisjointness.Key)];
                JsonNode?[] shared = [.. ((JsonArray)a!).Where(value => keys.Contains(SchemaDisjointness.Key(Element(value)))).Select(value => value?.DeepClone())];
                merged[name] = shared.Length > 0 ? new JsonArray(shared) : throw Error(path, "the lists of values have none in common");
                break;
            case "const":
                merged[name] = SchemaDisjointness.Key(Element(a)) == SchemaDisjointness.Key(Element(b)) ? a?.DeepClone() : throw Error(path, "no value equals two constants");
                break;
            case "minimum" or "exclusiveMinimum" or "minLength" or "minItems" or "minProperties":
                merged[name] = (Number(a, name, path) >= Number(b, name, path) ? a : b)!.DeepClone();
                break;
            case "maximum" or "exclusiveMaximum" or "maxLength" or "maxItems" or "maxProperties":
                merged[name] = (Number(a, name, path) <= Number(b, name, path) ? a : b)!.DeepClone();
                break;
            case "uniqueItems":
                merged[name] = a?.ToJsonString() == "true" || b?.ToJsonString() == "true";
                break;
            case "pattern":
                merged[Patterns] = new JsonArray([.. Listed(merged, Patterns), a?.DeepClone(), b?.DeepClone()]);
                break;
            case Patterns:
                merged[Patterns] = new JsonArray([.. Listed(merged, Patterns), .. a!.AsArray().Concat(b!.AsArray()).Select(pattern => pattern?.DeepClone())]);
                break;
            case "items" or "propertyNames" when a is JsonObject or JsonValue && b is JsonObject or JsonValue:
                merged[name] = AllOf(a, b);
                break;
            case "anyOf" when a is JsonArray left && b is JsonArray right && left.Count * right.Count <= MaxAlternatives:
                merged[name] = new JsonArray([.. left.SelectMany(x => right.Select(y => (JsonNode)AllOf(x, y)))]);
                break;
            case "allOf" when a is JsonArray first && b is JsonArray second:
                merged[name] = new JsonArray([.. first.Concat(second).Select(part => part?.DeepClone())]);
                break;
            default:
                merged[name] = a?.ToJsonString() == b?.ToJsonString() ? a?.DeepClone() : throw Error(path, $"two different '{name}' together are not supported");
                break;
        }
    }

    /// <summary>A property that one side names must please the other side's rule for names that it does not name.</summary>
    private static void Objects(JsonObject merged, JsonObject a, JsonObject b, TextBudget budget)
    {
        if (!ObjectKeywords.Any(name => a.ContainsKey(name) || b.ContainsKey(name)))
        {
            return;
        }

        var properties = new JsonObject();
        foreach ((JsonObject own, JsonObject other, bool isFirst) in new[] { (a, b, true), (b, a, false) })
        {
            foreach ((string name, JsonNode? schema) in Members(own, "properties"))
            {
                budget.Spend(100);
                if (Members(other, "properties").TryGetPropertyValue(name, out JsonNode? theirs))
                {
                    properties[name] = isFirst ? AllOf(schema, theirs) : properties[name]?.DeepClone();
                }
                else if (PatternMatches(other, name, budget) || !other.TryGetPropertyValue("additionalProperties", out JsonNode? rule))
                {
                    properties[name] = schema?.DeepClone();
                }
                else
                {
                    properties[name] = IsFalse(rule) ? JsonValue.Create(false) : AllOf(schema, rule);
                }
            }
        }

        Put("properties", properties);
        Put("patternProperties", Patterned(a, b));
        string[] required = [.. new[] { a, b }.SelectMany(schema => schema["required"] is JsonArray names ? names.Select(name => name?.ToString() ?? "") : []).Distinct()];
        if (required.Length > 0)
        {
            merged["required"] = new JsonArray([.. required.Select(name => (JsonNode)name)]);
        }

        bool first = a.TryGetPropertyValue("additionalProperties", out JsonNode? left), second = b.TryGetPropertyValue("additionalProperties", out JsonNode? right);
        if (first || second)
        {
            merged["additionalProperties"] = (first && IsFalse(left)) || (second && IsFalse(right)) ? false : first && second ? AllOf(left, right) : (first ? left : right)?.DeepClone();
        }

        void Put(string name, JsonObject value)
        {
            if (value.Count > 0 || a.ContainsKey(name) || b.ContainsKey(name))
            {
                merged[name] = value;
            }
        }
    }

    private static JsonObject Patterned(JsonObject a, JsonObject b)
    {
        var patterns = new JsonObject();
        foreach ((string pattern, JsonNode? schema) in Members(a, "patternProperties").Concat(Members(b, "patternProperties")))
        {
            patterns[pattern] = patterns.TryGetPropertyValue(pattern, out JsonNode? other) ? AllOf(other, schema) : schema?.DeepClone();
        }

        return patterns;
    }

    private static bool PatternMatches(JsonObject schema, string name, TextBudget budget) =>
        Members(schema, "patternProperties").Any(pattern => TextNfa.Of(new Regex.RegexParser(pattern.Key).Parse(isSearch: true), budget).Accepts(name));

    private static JsonObject Members(JsonObject schema, string name) => schema[name] as JsonObject ?? [];

    private static bool IsFalse(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.False;

    private static IEnumerable<string> Names(JsonNode? type) => type is JsonArray names ? names.Select(name => name?.ToString() ?? "") : [type?.ToString() ?? ""];

    private static IEnumerable<JsonNode?> Listed(JsonObject merged, string name) => merged[name] is JsonArray list ? list.Select(item => item?.DeepClone()).ToArray() : [];

    private static IEnumerable<JsonElement> Values(JsonNode? list, string path) => list is JsonArray values ? values.Select(Element) : throw Error(path, "enum must be a list");

    private static JsonElement Element(JsonNode? node) => JsonSerializer.SerializeToElement(node);

    private static decimal Number(JsonNode? node, string name, string path) =>
        node is JsonValue value && Element(value) is { ValueKind: JsonValueKind.Number } element && element.TryGetDecimal(out decimal number) ? number
            : throw Error(path, $"{name} is {node?.ToJsonString() ?? "null"}, which is not a usable number");

    private static GrammarException Error(string path, string reason) => new($"the schema at {path}: {reason}");
}
