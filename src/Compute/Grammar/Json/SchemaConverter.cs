using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar.Regular;

namespace Lamina.Compute.Grammar.Json;

/// <summary>
/// Turns a JSON schema into a grammar of the texts it validates. Properties come in the order of the schema. A keyword that would have to be ignored is refused.
/// </summary>
/// <param name="builder">Where rules go, when the schema is a part of a larger grammar.</param>
internal sealed partial class SchemaConverter(JsonElement root, GrammarBuilder? builder = null)
{
    /// <summary>Keywords that say nothing about what is valid.</summary>
    internal static readonly HashSet<string> Annotations =
    [
        "title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "strict", "$anchor", "$vocabulary", "contentMediaType", "contentEncoding", "example", "externalDocs", "xml",
    ];

    private readonly GrammarBuilder _builder = builder ?? new();
    private readonly Dictionary<string, int> _references = [];
    private readonly TextBudget _budget = new();
    private int _depth;
    private int _visited;
    private int? _anyValue;

    public CompiledGrammar Convert() => _builder.Build(_builder.Add("root", Schema(root, "#")));

    /// <summary>The schema as a part of the grammar that is being built.</summary>
    public Pattern ConvertPart() => Schema(root, "#");

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

        if (++_visited > GrammarLimits.Schemas)
        {
            throw Error(path, $"with its references followed the schema has more than {GrammarLimits.Schemas} parts");
        }

        Pattern pattern = PlainReference(schema) is { } reference ? Reference(reference, path)
            : NeedsFlattening(schema) ? Conjunction(schema, path)
            : Flat(schema, path);
        _depth--;
        return pattern;
    }

    private Pattern Flat(JsonElement schema, string path)
    {
        if (schema.ValueKind != JsonValueKind.Object)
        {
            return Schema(schema, path);
        }

        Keywords keywords = new(schema, path);
        Pattern pattern = Choices(schema, keywords, path) ?? Values(keywords, path);
        keywords.CheckAllUsed(Annotations);
        return pattern;
    }

    /// <summary>anyOf and oneOf, each alternative together with what stands beside them; null where there are none.</summary>
    private Pattern? Choices(JsonElement schema, Keywords keywords, string path)
    {
        string? name = keywords.Has("anyOf") ? "anyOf" : keywords.Has("oneOf") ? "oneOf" : null;
        if (name is null)
        {
            return null;
        }

        JsonElement[] options = Array(keywords.Take(name)!.Value, path);
        string? discriminator = keywords.Take("discriminator") is { ValueKind: JsonValueKind.Object } named && named.TryGetProperty("propertyName", out JsonElement property) ? property.ToString() : null;

        // One of them and no other: the same as any of them where no value can match two, which is all that a grammar can hold.
        _budget.Spend(name == "oneOf" ? 50L * options.Length * options.Length : 0);
        if (name == "oneOf" && !new SchemaDisjointness(option => Resolved(option, path)).AllDisjoint(options, discriminator))
        {
            throw Error(path, "oneOf is supported where its schemas differ in type, in the constant of a required property or discriminator, or each requires a property that the others lack");
        }

        _budget.Spend(schema.GetRawText().Length / CharactersPerStep);
        JsonObject rest = JsonNode.Parse(schema.GetRawText())!.AsObject();
        foreach (string taken in new[] { name, "discriminator" }.Concat(Annotations))
        {
            rest.Remove(taken);
        }

        if (discriminator is not null)
        {
            rest = SchemaMerge.Both(rest, new JsonObject { ["required"] = new JsonArray(discriminator) }, path, _budget);
        }

        keywords.TakeAll();
        _budget.Spend(rest.Count == 0 ? 0 : (long)options.Length * rest.ToJsonString().Length / CharactersPerStep);
        return Alternatives(rest.Count == 0 ? options : [.. options.Select(option => option.ValueKind == JsonValueKind.False ? option : JsonSerializer.SerializeToElement(SchemaMerge.AllOf(rest, JsonNode.Parse(option.GetRawText()))))], $"{path}/{name}");
    }

    private Pattern Values(Keywords keywords, string path)
    {
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

        return keywords.Take("type") switch
        {
            null => ImpliedType(keywords) is { } implied ? Type(implied, keywords, path) : AnyValue(),
            { ValueKind: JsonValueKind.String } type => Type(type.GetString()!, keywords, path),
            { ValueKind: JsonValueKind.Array } types => Pattern.Choice([.. Array(types, path).Select(type => Type(type.ToString(), keywords, path))]),
            _ => throw Error(path, "type must be a name or a list of names"),
        };
    }

    /// <summary>Keywords of one type without its name: values of that type are written.</summary>
    private static string? ImpliedType(Keywords keywords) =>
        new[] { "properties", "additionalProperties", "patternProperties", "required", "propertyNames", "minProperties", "maxProperties" }.Any(keywords.Has) ? "object"
        : new[] { "items", "prefixItems", "minItems", "maxItems", "uniqueItems" }.Any(keywords.Has) ? "array"
        : new[] { "pattern", "minLength", "maxLength", SchemaMerge.Patterns }.Any(keywords.Has) ? "string"
        : new[] { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf" }.Any(keywords.Has) ? "number"
        : null;

    private Pattern Alternatives(JsonElement[] options, string path) => options.Length > 0
        ? Pattern.Choice([.. options.Select((option, i) => (option, i)).Where(pair => pair.option.ValueKind != JsonValueKind.False || options.Length == 1).Select(pair => Schema(pair.option, $"{path}/{pair.i}"))])
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
