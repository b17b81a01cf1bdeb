using System.Globalization;
using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

/// <summary>Tells whether no value can satisfy two schemas at once, by what their types and constants say; false when that does not show.</summary>
/// <param name="resolve">Follows references.</param>
internal sealed class SchemaDisjointness(Func<JsonElement, JsonElement> resolve)
{
    private const int MaxDepth = 8;

    public bool AllDisjoint(JsonElement[] schemas, string? discriminator = null)
    {
        JsonElement[] resolved = [.. schemas.Select(resolve)];
        for (int i = 0; i < resolved.Length; i++)
        {
            for (int j = i + 1; j < resolved.Length; j++)
            {
                if (!Disjoint(resolved[i], resolved[j], discriminator, 0) && !(MissesRequired(resolved[i], resolved[j]) && MissesRequired(resolved[j], resolved[i])))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>The type names of a <c>type</c> keyword, a name or a list of names.</summary>
    public static string[] TypeNames(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.String => [type.GetString()!],
        JsonValueKind.Array => [.. type.EnumerateArray().Select(name => name.ToString())],
        _ => [],
    };

    public static bool IsOfType(JsonElement value, string type) => (type, value.ValueKind) switch
    {
        ("string", JsonValueKind.String) or ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("null", JsonValueKind.Null) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) or ("number", JsonValueKind.Number) => true,
        ("integer", JsonValueKind.Number) => value.TryGetDecimal(out decimal number) && number == decimal.Truncate(number),
        _ => false,
    };

    /// <summary>1 and 1.0 are one value.</summary>
    public static string Key(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) ? (number / 1.000000000000000000000000000m).ToString(CultureInfo.InvariantCulture)
        : value.ValueKind == JsonValueKind.String ? "\"" + value.GetString() : value.GetRawText();

    private bool Disjoint(JsonElement a, JsonElement b, string? discriminator, int depth)
    {
        if (a.ValueKind != JsonValueKind.Object || b.ValueKind != JsonValueKind.Object || depth > MaxDepth)
        {
            return false;
        }

        if (Values(a) is { } left && Values(b) is { } right)
        {
            return !left.Overlaps(right);
        }

        if (Types(a) is { } aTypes && Types(b) is { } bTypes && !TypesOverlap(aTypes, bTypes))
        {
            return true;
        }

        // A discriminator is written in every answer.
        IEnumerable<string> written = discriminator is null ? [] : [discriminator];
        return Required(a).Union(written).Intersect(Required(b).Union(written)).Any(
            name => Property(a, name) is { } x && Property(b, name) is { } y && Disjoint(resolve(x), resolve(y), null, depth + 1));
    }

    /// <summary>Whether what is written for a schema, which is closed, always lacks a property that another requires.</summary>
    private static bool MissesRequired(JsonElement written, JsonElement other) =>
        written.ValueKind == JsonValueKind.Object && other.ValueKind == JsonValueKind.Object
        && written.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object
        && (!written.TryGetProperty("additionalProperties", out JsonElement additional) || additional.ValueKind == JsonValueKind.False)
        && !written.TryGetProperty("patternProperties", out _) && !written.TryGetProperty("anyOf", out _) && !written.TryGetProperty("allOf", out _) && !written.TryGetProperty("oneOf", out _)
        && Required(other).Any(name => !properties.TryGetProperty(name, out _) && !Required(written).Contains(name));

    private static string[]? Types(JsonElement schema) =>
        schema.TryGetProperty("type", out JsonElement type) ? TypeNames(type)
        : Listed(schema) is { } values ? [.. values.Select(TypeOf).Distinct()]
        : null;

    private static string TypeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => "string",
        JsonValueKind.Number => "number",
        JsonValueKind.Null => "null",
        JsonValueKind.Array => "array",
        JsonValueKind.Object => "object",
        _ => "boolean",
    };

    /// <summary>Every integer is a number.</summary>
    private static bool TypesOverlap(string[] a, string[] b) =>
        a.Any(x => b.Any(y => x == y || (x is "integer" or "number" && y is "integer" or "number")));

    private static HashSet<string>? Values(JsonElement schema) => Listed(schema)?.Select(Key).ToHashSet();

    private static JsonElement[]? Listed(JsonElement schema) =>
        schema.TryGetProperty("const", out JsonElement constant) ? [constant]
        : schema.TryGetProperty("enum", out JsonElement values) && values.ValueKind == JsonValueKind.Array ? [.. values.EnumerateArray()]
        : null;

    private static IEnumerable<string> Required(JsonElement schema) =>
        schema.TryGetProperty("required", out JsonElement names) && names.ValueKind == JsonValueKind.Array ? names.EnumerateArray().Select(name => name.ToString()) : [];

    private static JsonElement? Property(JsonElement schema, string name) =>
        schema.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(name, out JsonElement property) ? property : null;
}
