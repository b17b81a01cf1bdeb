using System.Globalization;
using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    /// <summary>Values whose every order an array without repetition may have: there is a rule for each subset.</summary>
    private const int MaxUniqueValues = 10;

    private Pattern ArrayOf(Keywords keywords, string path)
    {
        int min = keywords.TakeCount("minItems") ?? 0;
        int? max = keywords.TakeCount("maxItems");
        if (max < min)
        {
            throw Error(path, $"no array has between {min} and {max} items");
        }

        bool unique = keywords.Take("uniqueItems") is { ValueKind: JsonValueKind.True };
        JsonElement? items = keywords.Take("items"), prefix = keywords.Take("prefixItems");
        if (prefix is null && items is { ValueKind: JsonValueKind.Array })
        {
            // Before draft 2020-12 a list of schemas stood in items, and what follows it in additionalItems.
            (prefix, items) = (items, keywords.Take("additionalItems"));
        }

        JsonElement[] first = prefix is { } listed ? Array(listed, path) : [];
        bool closed = items is { ValueKind: JsonValueKind.False };
        if (closed && min > first.Length)
        {
            throw Error(path, $"no array of at most {first.Length} items has {min}");
        }

        max = closed ? Math.Min(max ?? first.Length, first.Length) : max;
        unique = unique && (max is null or > 1);
        if (unique)
        {
            return first.Length == 0 && items is { } each && Enumerated(each, path) is { } values
                ? Unique(values, min, max, path)
                : throw Error(path, $"uniqueItems is supported for items of at most {MaxUniqueValues} listed values, and for arrays of at most one item");
        }

        Pattern? rest = max <= first.Length ? null : Pattern.Rule(_builder.Add("item", items is { } schemaOfItems ? Schema(schemaOfItems, path + "/items") : AnyValue()));
        return first.Length == 0 ? rest is null ? Brackets(Pattern.Empty) : Bracketed("[", rest, min, max, "]") : Tuple(first, rest, min, max, path);
    }

    /// <summary>Items of a schema each, then any number of others.</summary>
    private Pattern Tuple(JsonElement[] first, Pattern? rest, int min, int? max, string path)
    {
        int listed = Math.Min(first.Length, max ?? first.Length);
        Pattern more = rest is null ? Pattern.Empty
            : Pattern.Repeat(Pattern.Sequence(Comma, rest), Math.Max(0, min - first.Length), max - first.Length);
        for (int i = listed - 1; i >= 0; i--)
        {
            Pattern item = Schema(first[i], $"{path}/prefixItems/{i}");
            more = Pattern.Sequence(i > 0 ? Pattern.Sequence(Comma, item) : item, more);
            more = i < min ? more : Pattern.Rule(_builder.Add("rest", Pattern.Optional(more)));
        }

        return Brackets(more);
    }

    /// <summary>Every array of different values, by the subset of those not taken yet.</summary>
    private Pattern Unique(string[] values, int min, int? max, string path)
    {
        if (values.Length < min)
        {
            throw Error(path, $"no array of {min} different items can be made of {values.Length} values");
        }

        int limit = Math.Min(max ?? values.Length, values.Length);
        var rules = new Dictionary<uint, int>();
        return Brackets(After(0));

        Pattern After(uint taken)
        {
            if (!rules.TryGetValue(taken, out int rule))
            {
                rules[taken] = rule = _builder.Declare("unique");
                int count = System.Numerics.BitOperations.PopCount(taken);
                List<Pattern> options = count >= min ? [Pattern.Empty] : [];
                for (int i = 0; i < values.Length && count < limit; i++)
                {
                    if ((taken >> i & 1) == 0)
                    {
                        options.Add(Pattern.Sequence(count > 0 ? Comma : Pattern.Empty, Pattern.Text(values[i]), After(taken | 1u << i)));
                    }
                }

                _builder.Define(rule, Pattern.Choice([.. options]));
            }

            return Pattern.Rule(rule);
        }
    }

    /// <summary>All values of a schema as they are written, when there are few; else null.</summary>
    private string[]? Enumerated(JsonElement schema, string path)
    {
        JsonElement flat = Flatten(schema, path);
        if (flat.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        Keywords keywords = new(flat, path);
        string[]? values = null;
        if ((keywords.Take("const") is { } constant ? [constant] : keywords.Take("enum") is { } list ? Array(list, path) : null) is { } listed)
        {
            values = [.. OfType(listed, keywords, path).DistinctBy(SchemaDisjointness.Key).Select(Canonical)];
        }
        else if (keywords.Take("type") is { ValueKind: JsonValueKind.String } type)
        {
            values = type.GetString() switch
            {
                "boolean" => ["true", "false"],
                "null" => ["null"],
                "integer" => Integers(keywords),
                _ => null,
            };
        }

        if (values is { Length: <= MaxUniqueValues })
        {
            keywords.CheckAllUsed(Annotations);
            return values;
        }

        return null;
    }

    private static string[]? Integers(Keywords keywords)
    {
        decimal? min = keywords.TakeNumber("minimum"), max = keywords.TakeNumber("maximum");
        return max - min <= MaxUniqueValues
            ? [.. Enumerable.Range(0, MaxUniqueValues + 1).Select(i => Math.Ceiling(min!.Value) + i).Where(value => value <= max).Select(value => value.ToString(CultureInfo.InvariantCulture))]
            : null;
    }

    private static Pattern Brackets(Pattern items) => Pattern.Sequence(Pattern.Text("["), JsonPatterns.Space, items, JsonPatterns.Space, Pattern.Text("]"));
}
