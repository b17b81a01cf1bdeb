using System.Globalization;
using System.Text.Json;

namespace Lamina.Compute.Grammar.Json;

/// <summary>Tells whether no value can satisfy two schemas at once, by what their types and constants say; false when that does not show.</summary>
internal static class SchemaDisjointness
{
    public static bool AllDisjoint(JsonElement[] schemas)
    {
        for (int i = 0; i < schemas.Length; i++)
        {
            for (int j = i + 1; j < schemas.Length; j++)
            {
                if (!Disjoint(schemas[i], schemas[j]))
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

    private static bool Disjoint(JsonElement a, JsonElement b)
    {
        if (a.ValueKind != JsonValueKind.Object || b.ValueKind != JsonValueKind.Object)
        {
            return false;
        }

        if (Values(a) is { } left && Values(b) is { } right)
        {
            return !left.Overlaps(right);
        }

        if (a.TryGetProperty("type", out JsonElement aType) && b.TryGetProperty("type", out JsonElement bType) && !TypesOverlap(TypeNames(aType), TypeNames(bType)))
        {
            return true;
        }

        return Required(a).Intersect(Required(b)).Any(name => Property(a, name) is { } x && Property(b, name) is { } y && Disjoint(x, y));
    }

    /// <summary>Every integer is a number.</summary>
    private static bool TypesOverlap(string[] a, string[] b) =>
        a.Any(x => b.Any(y => x == y || (x is "integer" or "number" && y is "integer" or "number")));

    private static HashSet<string>? Values(JsonElement schema) =>
        schema.TryGetProperty("const", out JsonElement constant) ? [Key(constant)]
        : schema.TryGetProperty("enum", out JsonElement values) && values.ValueKind == JsonValueKind.Array ? [.. values.EnumerateArray().Select(Key)]
        : null;

    /// <summary>1 and 1.0 are one value.</summary>
    private static string Key(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal number) ? (number / 1.000000000000000000000000000m).ToString(CultureInfo.InvariantCulture)
        : value.ValueKind == JsonValueKind.String ? "\"" + value.GetString() : value.GetRawText();

    private static IEnumerable<string> Required(JsonElement schema) =>
        schema.TryGetProperty("required", out JsonElement names) && names.ValueKind == JsonValueKind.Array ? names.EnumerateArray().Select(name => name.ToString()) : [];

    private static JsonElement? Property(JsonElement schema, string name) =>
        schema.TryGetProperty("properties", out JsonElement properties) && properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(name, out JsonElement property) ? property : null;
}
