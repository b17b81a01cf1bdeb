using System.Text.Json;
using Lamina.Compute.Grammar.Regex;

namespace Lamina.Compute.Grammar.Json;

/// <summary>
/// Turns a JSON schema into a grammar of the texts it validates. Properties come in the order of the schema. A keyword that would have to be ignored is refused.
/// </summary>
internal sealed partial class SchemaConverter(JsonElement root)
{
    /// <summary>Keywords that say nothing about what is valid.</summary>
    private static readonly HashSet<string> Annotations =
    [
        "title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "strict",
    ];

    private readonly GrammarBuilder _builder = new();
    private readonly Dictionary<string, int> _references = [];
    private int _depth;
    private int? _anyValue;

    public CompiledGrammar Convert() => _builder.Build(_builder.Add("root", Schema(root, "#")));

    public CompiledGrammar ConvertAnyObject() => _builder.Build(_builder.Add("root", AnyObject()));

    private Pattern Schema(JsonElement schema, string path)
    {
        if (schema.ValueKind == JsonValueKind.True)
        {
            return AnyValue();
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            throw Error(path, schema.ValueKind == JsonValueKind.False ? "nothing is valid here" : $"a schema must be an object, not {schema.ValueKind}");
        }

        if (++_depth > GrammarLimits.Depth)
        {
            throw Error(path, $"schemas nest deeper than {GrammarLimits.Depth}");
        }

        Keywords keywords = new(schema, path);
        Pattern pattern = Schema(keywords, path);
        keywords.CheckAllUsed(Annotations);
        _depth--;
        return pattern;
    }

    private Pattern Schema(Keywords keywords, string path)
    {
        if (keywords.Take("$ref") is { } reference)
        {
            return Reference(reference, path);
        }

        if (keywords.Take("const") is { } constant)
        {
            return Pattern.Text(Canonical(OfType([constant], keywords, path)[0]));
        }

        if (keywords.Take("enum") is { } values)
        {
            JsonElement[] options = OfType(Array(values, path + "/enum"), keywords, path);
            return options.Length is > 0 and <= GrammarLimits.Choices
                ? Pattern.Choice([.. options.Select(value => Pattern.Text(Canonical(value)))])
                : throw Error(path, $"an enum must have 1 to {GrammarLimits.Choices} values");
        }

        if (keywords.Take("anyOf") is { } alternatives)
        {
            return Alternatives(Array(alternatives, path), $"{path}/anyOf");
        }

        if (keywords.Take("oneOf") is { } exclusive)
        {
            // One of them and no other: the same as any of them where no value can match two, which is all that a grammar can hold.
            JsonElement[] options = Array(exclusive, path);
            return SchemaDisjointness.AllDisjoint(options)
                ? Alternatives(options, $"{path}/oneOf")
                : throw Error(path, "oneOf is supported where its schemas differ in type or in the constant of a required property");
        }

        if (keywords.Take("allOf") is { } all)
        {
            JsonElement[] parts = Array(all, path);
            return parts.Length == 1 ? Schema(parts[0], path + "/allOf/0") : throw Error(path, "allOf of more than one schema is not supported");
        }

        return keywords.Take("type") switch
        {
            null => keywords.Has("properties") ? Object(keywords, path) : keywords.Has("items") ? ArrayOf(keywords, path) : AnyValue(),
            { ValueKind: JsonValueKind.String } type => Type(type.GetString()!, keywords, path),
            { ValueKind: JsonValueKind.Array } types => Pattern.Choice([.. Array(types, path).Select(type => Type(type.ToString(), keywords, path))]),
            _ => throw Error(path, "type must be a name or a list of names"),
        };
    }

    private Pattern Alternatives(JsonElement[] options, string path) => options.Length > 0
        ? Pattern.Choice([.. options.Select((option, i) => Schema(option, $"{path}/{i}"))])
        : throw Error(path, "there is no alternative");

    /// <summary>The values that a type beside them allows.</summary>
    private static JsonElement[] OfType(JsonElement[] values, Keywords keywords, string path)
    {
        if (keywords.Take("type") is not { } type)
        {
            return values;
        }

        JsonElement[] allowed = [.. values.Where(value => SchemaDisjointness.TypeNames(type).Any(name => SchemaDisjointness.IsOfType(value, name)))];
        return allowed.Length > 0 ? allowed : throw Error(path, "none of the listed values has the type named beside them");
    }

    private Pattern Type(string type, Keywords keywords, string path) => type switch
    {
        "string" => String(keywords, path),
        "integer" => Integer(keywords, path),
        "number" => Number(keywords, path),
        "boolean" => Pattern.Choice(Pattern.Text("true"), Pattern.Text("false")),
        "null" => Pattern.Text("null"),
        "object" => Object(keywords, path),
        "array" => ArrayOf(keywords, path),
        _ => throw Error(path, $"the type '{type}' is unknown"),
    };

    private Pattern Reference(JsonElement reference, string path)
    {
        string pointer = reference.ValueKind == JsonValueKind.String ? reference.GetString()! : "";
        if (!_references.TryGetValue(pointer, out int rule))
        {
            rule = _builder.Declare(pointer);
            _references[pointer] = rule;
            int depth = _depth;
            _depth = 0;
            _builder.Define(rule, Schema(Resolve(pointer, path), pointer));
            _depth = depth;
        }

        return Pattern.Rule(rule);
    }

    private JsonElement Resolve(string pointer, string path)
    {
        if (!pointer.StartsWith('#') || (pointer.Length > 1 && pointer[1] != '/'))
        {
            throw Error(path, $"the reference '{pointer}' does not point into this schema");
        }

        JsonElement found = root;
        foreach (string part in pointer.Split('/').Skip(1))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (found.ValueKind != JsonValueKind.Object || !found.TryGetProperty(name, out found))
            {
                throw Error(path, $"the reference '{pointer}' points at nothing");
            }
        }

        return found;
    }

    private Pattern AnyValue()
    {
        if (_anyValue is not { } rule)
        {
            rule = _builder.Declare("value");
            _anyValue = rule;
            _builder.Define(rule, Pattern.Choice(
                JsonPatterns.Quoted(Pattern.Many(JsonPatterns.Character)), JsonPatterns.Number, Pattern.Text("true"), Pattern.Text("false"), Pattern.Text("null"),
                AnyObject(), Bracketed("[", Pattern.Rule(rule), 0, null, "]")));
        }

        return Pattern.Rule(rule);
    }

    private Pattern AnyObject() => Bracketed("{", Member(JsonPatterns.Quoted(Pattern.Many(JsonPatterns.Character)), AnyValue()), 0, null, "}");

    private static Pattern Member(Pattern key, Pattern value) =>
        Pattern.Sequence(key, JsonPatterns.Space, Pattern.Text(":"), JsonPatterns.Space, value);

    private static readonly Pattern Comma = Pattern.Sequence(JsonPatterns.Space, Pattern.Text(","), JsonPatterns.Space);

    private static Pattern Bracketed(string open, Pattern item, int min, int? max, string close)
    {
        Pattern some = max == 0 ? Pattern.Empty
            : Pattern.Sequence(item, Pattern.Repeat(Pattern.Sequence(Comma, item), Math.Max(0, min - 1), max - 1));
        return Pattern.Sequence(
            Pattern.Text(open), JsonPatterns.Space, min > 0 ? some : Pattern.Optional(some), JsonPatterns.Space, Pattern.Text(close));
    }

    private static JsonElement[] Array(JsonElement element, string path) =>
        element.ValueKind == JsonValueKind.Array ? [.. element.EnumerateArray()] : throw Error(path, "an array is expected");

    /// <summary>The one spelling of a constant that answers may use.</summary>
    private static string Canonical(JsonElement value) => JsonSerializer.Serialize(value, CanonicalOptions);

    private static GrammarException Error(string path, string reason) => new($"the schema at {path}: {reason}");
}
