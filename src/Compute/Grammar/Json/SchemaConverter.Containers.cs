using System.Text;
using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private const int LongestName = 128;

    private Pattern ArrayOf(Keywords keywords, string path)
    {
        int min = keywords.TakeCount("minItems") ?? 0;
        int? max = keywords.TakeCount("maxItems");
        if (max < min)
        {
            throw Error(path, $"no array has between {min} and {max} items");
        }

        Refuse(keywords, "uniqueItems", path);
        JsonElement? items = keywords.Take("items");
        if (keywords.Take("prefixItems") is { } prefix)
        {
            JsonElement[] first = Array(prefix, path);
            if (items is not { ValueKind: JsonValueKind.False } || min != first.Length)
            {
                throw Error(path, "prefixItems needs items: false and minItems equal to their number");
            }

            Pattern[] parts = [.. first.SelectMany((schema, i) => i == 0
                ? new[] { Schema(schema, $"{path}/prefixItems/0") }
                : [Comma, Schema(schema, $"{path}/prefixItems/{i}")])];
            return Pattern.Sequence(Pattern.Text("["), JsonPatterns.Space, Pattern.Sequence(parts), JsonPatterns.Space, Pattern.Text("]"));
        }

        Pattern item = Pattern.Rule(_builder.Add("item", items is { } schemaOfItems ? Schema(schemaOfItems, path + "/items") : AnyValue()));
        return Bracketed("[", item, min, max, "]");
    }

    /// <summary>
    /// One rule for each place among the properties, with and without a member before it: what may follow there. So optional members and their commas cost a
    /// rule each, not a rule for each subset.
    /// </summary>
    private Pattern Object(Keywords keywords, string path)
    {
        JsonProperty[] properties = keywords.Take("properties") is { } declared
            ? declared.ValueKind == JsonValueKind.Object ? [.. declared.EnumerateObject()] : throw Error(path, "properties must be an object")
            : [];
        HashSet<string> required = keywords.Take("required") is { } names ? [.. Array(names, path).Select(name => name.ToString())] : [];
        Pattern? additional = Additional(keywords.Take("additionalProperties"), properties, path);
        List<(Pattern Member, bool IsRequired)> members = [.. properties.Select(property => (
            Pattern.Rule(_builder.Add(property.Name, Member(Pattern.Text(JsonSerializer.Serialize(property.Name, CanonicalOptions)), Schema(property.Value, $"{path}/properties/{property.Name}")))),
            required.Remove(property.Name)))];
        if (required.Count > 0)
        {
            throw Error(path, $"the required property '{required.First()}' is not among the properties");
        }

        Pattern more = additional is null ? Pattern.Empty : Pattern.Many(Pattern.Sequence(Comma, additional));
        Pattern first = additional is null ? Pattern.Empty : Pattern.Optional(Pattern.Sequence(additional, more));
        for (int i = members.Count - 1; i >= 0; i--)
        {
            (Pattern member, bool isRequired) = members[i];
            int moreRule = _builder.Add("more", more), firstRule = _builder.Add("first", first);
            Pattern taken = Pattern.Sequence(member, Pattern.Rule(moreRule));
            more = isRequired ? Pattern.Sequence(Comma, taken) : Pattern.Choice(Pattern.Sequence(Comma, taken), Pattern.Rule(moreRule));
            first = isRequired ? taken : Pattern.Choice(taken, Pattern.Rule(firstRule));
        }

        return Pattern.Sequence(Pattern.Text("{"), JsonPatterns.Space, first, JsonPatterns.Space, Pattern.Text("}"));
    }

    private Pattern? Additional(JsonElement? schema, JsonProperty[] properties, string path)
    {
        // without the keyword an object that names properties is closed, as strict schemas want it
        if (schema is { ValueKind: JsonValueKind.False } || (schema is null && properties.Length > 0))
        {
            return null;
        }

        if (properties.Any(property => property.Name.Length > LongestName))
        {
            throw Error(path, $"beside additional properties a name may have at most {LongestName} characters");
        }

        Pattern value = schema is { } given ? Schema(given, path + "/additionalProperties") : AnyValue();
        Pattern key = properties.Length == 0
            ? Pattern.Many(JsonPatterns.Character)
            : OtherThan([.. properties.Select(property => property.Name)]);
        return Pattern.Rule(_builder.Add("additional", Member(JsonPatterns.Quoted(key), value)));
    }

    /// <summary>Keys without escapes that differ from all the names: leaves their common tree at some character.</summary>
    private Pattern OtherThan(IReadOnlyCollection<string> names)
    {
        Pattern anything = Pattern.Many(Pattern.Set(JsonPatterns.PlainCharacters));
        List<Pattern> options = [];
        CodePointSet next = CodePointSet.Of(names.Where(name => name.Length > 0).Select(name => (Rune.GetRuneAt(name, 0).Value, Rune.GetRuneAt(name, 0).Value)));
        options.Add(Pattern.Sequence(Pattern.Set(JsonPatterns.PlainCharacters.Except(next)), anything));
        if (!names.Contains(""))
        {
            options.Add(Pattern.Empty);
        }

        foreach (IGrouping<string, string> group in names.Where(name => name.Length > 0).GroupBy(name => Rune.GetRuneAt(name, 0).ToString()))
        {
            if (JsonPatterns.PlainCharacters.Contains(Rune.GetRuneAt(group.Key, 0).Value))
            {
                options.Add(Pattern.Sequence(Pattern.Text(group.Key), OtherThan([.. group.Select(name => name[group.Key.Length..])])));
            }
        }

        return Pattern.Rule(_builder.Add("other key", Pattern.Choice([.. options])));
    }

    private static readonly JsonSerializerOptions CanonicalOptions = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static void Refuse(Keywords keywords, string name, string path)
    {
        if (keywords.Take(name) is { ValueKind: not JsonValueKind.False })
        {
            throw Error(path, $"the keyword '{name}' is not supported");
        }
    }
}
