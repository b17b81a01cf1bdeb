using System.Globalization;
using System.Text.Json;
using Lamina.Compute.Grammar.Regex;
using Lamina.Compute.Grammar.Regular;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private const string Label = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?";
    private const string Octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private const string Uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    private const string UrlPath = "(/[A-Za-z0-9._~-]{0,40}){0,8}(\\?[A-Za-z0-9._~=&-]{0,60})?(#[A-Za-z0-9._~-]{0,40})?";
    private const string Url = $"https?://{Label}(\\.{Label}){{0,4}}(:[1-9][0-9]{{0,3}})?{UrlPath}";
    private const string Base64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?";

    // days run to 28 in February, to 30 in the short months: every date written exists
    private const string Date = "[0-9]{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";
    private const string Time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";

    private static readonly Dictionary<string, string> Formats = new()
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = $"{Date}T{Time}",
        ["duration"] = "P([0-9]{1,4}Y)?([0-9]{1,2}M)?[0-9]{1,3}D(T[0-9]{1,2}H([0-9]{1,2}M)?([0-9]{1,2}S)?)?",
        ["uuid"] = Uuid,
        ["guid"] = Uuid,
        ["uuid4"] = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ["ipv4"] = $"({Octet}\\.){{3}}{Octet}",
        ["ipv6"] = "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
        ["hostname"] = $"{Label}(\\.{Label}){{0,4}}",
        ["email"] = $"[A-Za-z0-9_+-]{{1,30}}(\\.[A-Za-z0-9_+-]{{1,30}}){{0,3}}@{Label}(\\.{Label}){{1,4}}",
        ["uri"] = Url,
        ["url"] = Url,
        ["byte"] = Base64,
        ["base64"] = Base64,
        ["base64url"] = "[A-Za-z0-9_-]*",
        ["json-pointer"] = "(/([^~/]|~[01])*)*",
        ["password"] = ".*",
        ["binary"] = ".*",
    };

    /// <summary>What the formats of numbers, as generators write them, allow: null for no bounds of their own.</summary>
    private static readonly Dictionary<string, (decimal Min, decimal Max)?> NumberFormats = new()
    {
        ["int8"] = (sbyte.MinValue, sbyte.MaxValue),
        ["uint8"] = (0, byte.MaxValue),
        ["int16"] = (short.MinValue, short.MaxValue),
        ["uint16"] = (0, ushort.MaxValue),
        ["int32"] = (int.MinValue, int.MaxValue),
        ["uint32"] = (0, uint.MaxValue),
        ["int64"] = null,
        ["uint64"] = (0, ulong.MaxValue),
        ["float"] = null,
        ["double"] = null,
        ["decimal"] = null,
    };

    private Pattern String(Keywords keywords, string path)
    {
        int? min = keywords.TakeCount("minLength"), max = keywords.TakeCount("maxLength");
        bool patterned = keywords.Has("pattern") || keywords.Has("format") || keywords.Has(SchemaMerge.Patterns);
        if (!patterned)
        {
            return max < min ? throw NoLength(path, min, max) : JsonPatterns.Quoted(Pattern.Repeat(JsonPatterns.Character, min ?? 0, max));
        }

        List<Pattern> patterns = TextPatterns(keywords, path);
        if (patterns.Count == 1 && min is null && max is null && keywords.Take("pattern") is { } only)
        {
            return JsonPatterns.Quoted(new RegexParser(only.GetString()!, JsonPatterns.Escaped).Parse(isSearch: true));
        }

        List<TextNfa> parts = [.. patterns.Select(pattern => TextNfa.Of(pattern, _budget)), .. Lengths(min, max, path)];
        ulong all = parts.Count == 64 ? ulong.MaxValue : (1UL << parts.Count) - 1;
        return Pattern.Sequence(Pattern.Text("\""), TextProduct.Of(parts, _budget).ToRules(_builder, JsonPatterns.TryEscaped, accepted => accepted == all ? Pattern.Text("\"") : null));
    }

    /// <summary>What a text must be, as automata that all must accept.</summary>
    private List<TextNfa> TextConstraints(Keywords keywords, string path) =>
        [.. TextPatterns(keywords, path).Select(pattern => TextNfa.Of(pattern, _budget)), .. Lengths(keywords.TakeCount("minLength"), keywords.TakeCount("maxLength"), path)];

    private static List<Pattern> TextPatterns(Keywords keywords, string path)
    {
        List<Pattern> patterns = [];
        foreach (JsonElement source in (keywords.Take("pattern") is { } single ? [single] : System.Array.Empty<JsonElement>()).Concat(keywords.Take(SchemaMerge.Patterns) is { } several ? Array(several, path) : []))
        {
            string text = source.ValueKind == JsonValueKind.String ? source.GetString()! : throw Error(path, "pattern must be a text");
            patterns.Add(text.Length <= GrammarLimits.SourceLength ? new RegexParser(text).Parse(isSearch: true) : throw Error(path, "the pattern is too long"));
        }

        if (keywords.Take("format") is { } name)
        {
            patterns.Add(Formats.TryGetValue(name.ToString(), out string? expression)
                ? new RegexParser(expression).Parse(isSearch: false)
                : throw Error(path, $"the format '{name}' is not supported; these are: {string.Join(", ", Formats.Keys)}"));
        }

        return patterns;
    }

    private IEnumerable<TextNfa> Lengths(int? min, int? max, string path) =>
        min is null && max is null ? [] : max < min ? throw NoLength(path, min, max) : [TextNfa.OfLength(min ?? 0, max, _budget)];

    private static GrammarException NoLength(string path, int? min, int? max) => Error(path, $"no string has between {min} and {max} characters");

    private Pattern Integer(Keywords keywords, string path)
    {
        (decimal? min, decimal? max) = NumberFormat(keywords, path);
        decimal? above = keywords.TakeNumber("exclusiveMinimum"), below = keywords.TakeNumber("exclusiveMaximum");
        min = Larger(min is { } low ? Math.Ceiling(low) : null, above is { } open ? Math.Floor(open) + 1 : null);
        max = Smaller(max is { } high ? Math.Floor(high) : null, below is { } end ? Math.Ceiling(end) - 1 : null);
        Pattern range = min is null && max is null ? JsonPatterns.Integer : IntegerRange.Between(Clamp(min), Clamp(max));
        return Step(keywords, path) is { } step && step != 1 ? Digits([TextNfa.Of(range, _budget), DecimalPatterns.Multiples(step, whole: true, _budget)]) : range;
    }

    private Pattern Number(Keywords keywords, string path)
    {
        (decimal? min, decimal? max) = NumberFormat(keywords, path);
        decimal? above = keywords.TakeNumber("exclusiveMinimum"), below = keywords.TakeNumber("exclusiveMaximum");
        decimal? step = Step(keywords, path);
        if (min is null && max is null && above is null && below is null && step is null)
        {
            return JsonPatterns.Number;
        }

        decimal? lower = Larger(min, above), upper = Smaller(max, below);
        bool aboveLower = above is not null && above == lower, belowUpper = below is not null && below == upper;
        if (lower > upper || (lower == upper && (aboveLower || belowUpper)))
        {
            throw Error(path, $"no number lies between {lower?.ToString(CultureInfo.InvariantCulture)} and {upper?.ToString(CultureInfo.InvariantCulture)}");
        }

        int? places = step is { } fine ? PowerOfTen(fine) : null;
        List<TextNfa> parts = [TextNfa.Of(places is { } few ? JsonPatterns.DecimalOf(few) : JsonPatterns.Decimal, _budget), .. DecimalPatterns.Between(lower, aboveLower, upper, belowUpper, _budget)];
        if (places is null && step is { } every)
        {
            parts.Add(DecimalPatterns.Multiples(every, whole: false, _budget));
        }

        return Digits(parts);
    }

    /// <summary>Places behind the point of 1, 0.1, 0.01 and so on, whose multiples are all numbers of so many places; null for other steps.</summary>
    private static int? PowerOfTen(decimal step)
    {
        int places = 0;
        for (; step < 1 && places < 8; places++)
        {
            step *= 10;
        }

        return step == 1 ? places : null;
    }

    private Pattern Digits(List<TextNfa> parts)
    {
        ulong all = (1UL << parts.Count) - 1;
        return TextProduct.Of(parts, _budget).ToRules(_builder, Pattern.Set, accepted => accepted == all ? Pattern.Empty : null);
    }

    private static decimal? Step(Keywords keywords, string path) => keywords.TakeNumber("multipleOf") is not { } step ? null
        : step > 0 ? step / 1.0000000000000000000000000000m : throw Error(path, "multipleOf must be above 0");

    /// <summary>minimum and maximum, narrowed by the format.</summary>
    private static (decimal? Min, decimal? Max) NumberFormat(Keywords keywords, string path)
    {
        decimal? min = keywords.TakeNumber("minimum"), max = keywords.TakeNumber("maximum");
        if (keywords.Take("format") is not { } name)
        {
            return (min, max);
        }

        return NumberFormats.TryGetValue(name.ToString(), out (decimal Min, decimal Max)? bounds)
            ? (Larger(min, bounds?.Min), Smaller(max, bounds?.Max))
            : throw Error(path, $"the format '{name}' of a number is not supported; these are: {string.Join(", ", NumberFormats.Keys)}");
    }

    private static decimal? Larger(decimal? a, decimal? b) => a is null || b > a ? b ?? a : a;

    private static decimal? Smaller(decimal? a, decimal? b) => a is null || b < a ? b ?? a : a;

    private static long? Clamp(decimal? value) => value is { } number ? (long)Math.Clamp(number, -1e17m, 1e17m) : null;
}
