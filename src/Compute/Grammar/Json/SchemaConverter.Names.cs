using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar.Regex;
using Lamina.Compute.Grammar.Regular;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private const int MaxNamePatterns = 48;

    /// <summary>What names say about a property: patterns with a schema each, and what every name must be.</summary>
    private sealed record NameRules(List<(TextNfa Matches, JsonElement Schema)> Patterns, List<TextNfa> All)
    {
        public bool Any => Patterns.Count > 0 || All.Count > 0;
    }

    private NameRules TakeNameRules(Keywords keywords, string path)
    {
        List<(TextNfa, JsonElement)> patterns = [];
        if (keywords.Take("patternProperties") is { } listed)
        {
            foreach (JsonProperty pattern in listed.ValueKind == JsonValueKind.Object ? listed.EnumerateObject() : throw Error(path, "patternProperties must be an object"))
            {
                patterns.Add((TextNfa.Of(new RegexParser(pattern.Name).Parse(isSearch: true), _budget), pattern.Value));
            }
        }

        if (patterns.Count > MaxNamePatterns)
        {
            throw Error(path, $"patternProperties has {patterns.Count} patterns; at most {MaxNamePatterns} are supported");
        }

        List<TextNfa> all = keywords.Take("propertyNames") is { } names ? Names(names, path + "/propertyNames") : [];
        return new NameRules(patterns, all);
    }

    /// <summary>The texts that a schema of names allows, as automata that all must accept.</summary>
    private List<TextNfa> Names(JsonElement schema, string path)
    {
        JsonElement flat = Flatten(schema, path);
        if (flat.ValueKind == JsonValueKind.True)
        {
            return [];
        }

        if (flat.ValueKind != JsonValueKind.Object)
        {
            throw Error(path, "a schema of names must be an object");
        }

        Keywords keywords = new(flat, path);
        List<TextNfa> parts = [];
        if ((keywords.Take("const") is { } constant ? [constant] : keywords.Take("enum") is { } values ? Array(values, path) : null) is { } listed)
        {
            parts.Add(TextNfa.Of(Pattern.Choice([.. listed.Select(value => Pattern.Text(value.ToString()))]), _budget));
        }

        if (keywords.Take("type") is { } type && !SchemaDisjointness.TypeNames(type).Contains("string"))
        {
            throw Error(path, "names are of type string");
        }

        parts.AddRange(TextConstraints(keywords, path));
        keywords.CheckAllUsed(Annotations);
        return parts;
    }

    /// <summary>A declared property's schema together with those of the patterns that its name matches; null when its name may not be.</summary>
    private static JsonElement? Declared(string name, JsonElement schema, NameRules rules)
    {
        if (!rules.All.TrueForAll(all => all.Accepts(name)))
        {
            return null;
        }

        JsonElement[] matching = [.. rules.Patterns.Where(pattern => pattern.Matches.Accepts(name)).Select(pattern => pattern.Schema)];
        return matching.Length == 0 ? schema : All([schema, .. matching]);
    }

    /// <summary>A member with a name that is none of the declared ones, its value as the patterns that the name matches say, or the rule for all others.</summary>
    private Pattern NamedByRule(IReadOnlyList<string> declared, NameRules rules, Func<Pattern?> additional, string path)
    {
        Pattern anything = Pattern.Many(Pattern.Set(CodePointSet.All));
        List<TextNfa> parts = [TextNfa.Of(anything, _budget), .. rules.Patterns.Select(pattern => pattern.Matches), .. rules.All];
        int allFirst = 1 + rules.Patterns.Count, ownNames = allFirst + rules.All.Count;
        if (declared.Count > 0)
        {
            parts.Add(TextNfa.Of(Pattern.Choice([.. declared.Select(Pattern.Text)]), _budget));
        }

        var values = new Dictionary<ulong, Pattern?>();
        TextProduct product = TextProduct.Of(parts, _budget);
        Pattern key = product.ToRules(_builder, set => JsonPatterns.TryEscaped(set), accepted =>
        {
            if (!values.TryGetValue(accepted, out Pattern? value))
            {
                values[accepted] = value = ValueFor(accepted);
            }

            return value;
        });
        return Pattern.Sequence(Pattern.Text("\""), key);

        Pattern? ValueFor(ulong accepted)
        {
            bool taken = declared.Count > 0 && (accepted >> ownNames & 1) != 0;
            bool allowed = Enumerable.Range(allFirst, rules.All.Count).All(part => (accepted >> part & 1) != 0);
            if (taken || !allowed)
            {
                return null;
            }

            JsonElement[] matching = [.. rules.Patterns.Where((_, i) => (accepted >> (1 + i) & 1) != 0).Select(pattern => pattern.Schema)];
            if (matching.Any(schema => schema.ValueKind == JsonValueKind.False))
            {
                return null;
            }

            Pattern? value = matching.Length > 0 ? Schema(All(matching), path + "/patternProperties") : additional();
            return value is null ? null : Pattern.Rule(_builder.Add("named", Pattern.Sequence(Pattern.Text("\""), JsonPatterns.Space, Pattern.Text(":"), JsonPatterns.Space, value)));
        }
    }

    private static JsonElement All(JsonElement[] schemas) => schemas.Length == 1 ? schemas[0]
        : JsonSerializer.SerializeToElement(SchemaMerge.AllOf(schemas.Select(schema => JsonNode.Parse(schema.GetRawText()))));
}
