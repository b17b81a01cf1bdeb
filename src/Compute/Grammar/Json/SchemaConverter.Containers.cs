using System.Text;
using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private const int LongestName = 128;

    /// <summary>
    /// One rule for each place among the properties, with and without a member before it: what may follow there. So optional members and their commas cost a
    /// rule each, not a rule for each subset.
    /// </summary>
    private Pattern Object(Keywords keywords, string path)
    {
        JsonElement declared = keywords.Take("properties") is { } given ? given.ValueKind == JsonValueKind.Object ? given : throw Error(path, "properties must be an object") : default;
        HashSet<string> required = keywords.Take("required") is { } names ? [.. Array(names, path).Select(name => name.ToString())] : [];
        NameRules rules = TakeNameRules(keywords, path);
        JsonElement? additionalSchema = keywords.Take("additionalProperties");
        int least = keywords.TakeCount("minProperties") ?? 0;
        int? most = keywords.TakeCount("maxProperties");

        List<(string Name, JsonElement Schema)> properties = declared.ValueKind == JsonValueKind.Object ? [.. declared.EnumerateObject().Select(property => (property.Name, property.Value))] : [];
        bool isOpen = additionalSchema is { ValueKind: not JsonValueKind.False } || (additionalSchema is null && properties.Count == 0 && rules.Patterns.Count == 0);
        foreach (string name in required.Where(name => !properties.Exists(property => property.Name == name)))
        {
            // A required name that is not declared is a property like any other.
            bool matched = rules.Patterns.Exists(pattern => pattern.Matches.Accepts(name));
            properties.Add(isOpen || matched
                ? (name, matched || additionalSchema is null ? True : additionalSchema.Value)
                : throw Error(path, $"the required property '{name}' is not among the properties"));
        }

        List<(Pattern Member, bool IsRequired)> members = [];
        foreach ((string name, JsonElement own) in properties)
        {
            bool isRequired = required.Contains(name);
            JsonElement? schema = Declared(name, own, rules);
            if (schema is null or { ValueKind: JsonValueKind.False })
            {
                _ = isRequired ? throw Error(path, $"the required property '{name}' is not allowed") : 0;
                continue;
            }

            Pattern key = Pattern.Text(JsonSerializer.Serialize(name, CanonicalOptions));
            members.Add((Pattern.Rule(_builder.Add(name, Member(key, Schema(schema.Value, $"{path}/properties/{name}")))), isRequired));
        }

        Pattern? additional = rules.Any
            ? isOpen || rules.Patterns.Count > 0 ? Pattern.Rule(_builder.Add("additional", NamedByRule([.. properties.Select(property => property.Name)], rules, () => isOpen ? ValueOf(additionalSchema, path) : null, path))) : null
            : isOpen ? Additional(additionalSchema, [.. properties.Select(property => property.Name)], path) : null;
        return Braces(least > 0 || most is not null ? Counted(members, additional, least, most, path) : Chain(members, additional));
    }

    private Pattern Chain(List<(Pattern Member, bool IsRequired)> members, Pattern? additional)
    {
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

        return first;
    }

    /// <summary>A rule for each place and each number of members before it. Names that repeat count once, so a lower bound cannot rest on free names.</summary>
    private Pattern Counted(List<(Pattern Member, bool IsRequired)> members, Pattern? additional, int least, int? most, string path)
    {
        int needed = Math.Max(least, members.Count(member => member.IsRequired)), fixedCount = members.Count(member => member.IsRequired);
        if (additional is not null && least > Math.Max(1, fixedCount))
        {
            throw Error(path, "minProperties above the number of required properties and above 1 is not supported beside additional properties");
        }

        if (most < needed || (additional is null && least > members.Count))
        {
            throw Error(path, "the bounds on the number of properties cannot be met");
        }

        var rules = new Dictionary<(int, int), Pattern>();
        return From(0, 0);

        Pattern From(int place, int count)
        {
            if (rules.TryGetValue((place, count), out Pattern? known))
            {
                return known;
            }

            Pattern comma = count > 0 ? Comma : Pattern.Empty;
            List<Pattern> options = [];
            if (place == members.Count)
            {
                Pattern more = additional is null ? Pattern.Empty : Pattern.Repeat(Pattern.Sequence(Comma, additional), 0, most - Math.Max(count, 1));
                if (count >= least)
                {
                    options.Add(Pattern.Empty);
                }

                if (additional is not null && (most is null || count < most))
                {
                    options.Add(Pattern.Sequence(comma, additional, count == 0 ? more : Pattern.Repeat(Pattern.Sequence(Comma, additional), 0, most - count - 1)));
                }
            }
            else
            {
                if (most is null || count < most)
                {
                    options.Add(Pattern.Sequence(comma, members[place].Member, From(place + 1, count + 1)));
                }

                if (!members[place].IsRequired)
                {
                    options.Add(From(place + 1, count));
                }
            }

            int rule = _builder.Declare("counted");
            _builder.Define(rule, options.Count > 0 ? Pattern.Choice([.. options]) : Pattern.Rule(rule));
            return rules[(place, count)] = Pattern.Rule(rule);
        }
    }

    private static Pattern Braces(Pattern members) => Pattern.Sequence(Pattern.Text("{"), JsonPatterns.Space, members, JsonPatterns.Space, Pattern.Text("}"));

    private Pattern ValueOf(JsonElement? schema, string path) => schema is { } given ? Schema(given, path + "/additionalProperties") : AnyValue();

    private Pattern Additional(JsonElement? schema, string[] names, string path)
    {
        if (names.Any(name => name.Length > LongestName))
        {
            throw Error(path, $"beside additional properties a name may have at most {LongestName} characters");
        }

        Pattern key = names.Length == 0 ? Pattern.Many(JsonPatterns.Character) : OtherThan(names);
        return Pattern.Rule(_builder.Add("additional", Member(JsonPatterns.Quoted(key), ValueOf(schema, path))));
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
}
