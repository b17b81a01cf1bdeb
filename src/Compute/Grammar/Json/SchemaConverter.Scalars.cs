using System.Text.Json;
using Lamina.Compute.Grammar.Regex;

namespace Lamina.Compute.Grammar.Json;

internal sealed partial class SchemaConverter
{
    private static readonly Dictionary<string, string> Formats = new()
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = $"{Date}T{Time}",
        ["duration"] = "P([0-9]{1,4}Y)?([0-9]{1,2}M)?[0-9]{1,3}D(T[0-9]{1,2}H([0-9]{1,2}M)?([0-9]{1,2}S)?)?",
        ["uuid"] = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ["ipv4"] = "((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
        ["ipv6"] = "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}",
        ["hostname"] = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,4}",
        ["email"] = "[A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30}){0,3}@[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){1,4}",
    };

    // days run to 28 in February, to 30 in the short months: every date written exists
    private const string Date = "[0-9]{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";
    private const string Time = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";

    private static Pattern String(Keywords keywords, string path)
    {
        int? min = keywords.TakeCount("minLength"), max = keywords.TakeCount("maxLength");
        JsonElement? pattern = keywords.Take("pattern"), format = keywords.Take("format");
        if ((pattern is not null || format is not null) && (min is not null || max is not null || (pattern is not null && format is not null)))
        {
            throw Error(path, "only one of pattern, format and bounds of length is supported for one string");
        }

        if (format is { } name)
        {
            return Formats.TryGetValue(name.ToString(), out string? expression)
                ? JsonPatterns.Quoted(new RegexParser(expression).Parse(isSearch: false))
                : throw Error(path, $"the format '{name}' is not supported; these are: {string.Join(", ", Formats.Keys)}");
        }

        if (pattern is { } source)
        {
            string text = source.ValueKind == JsonValueKind.String ? source.GetString()! : throw Error(path, "pattern must be a text");
            return text.Length <= GrammarLimits.SourceLength
                ? JsonPatterns.Quoted(new RegexParser(text, JsonPatterns.Escaped).Parse(isSearch: true))
                : throw Error(path, "the pattern is too long");
        }

        if (max < min)
        {
            throw Error(path, $"no string has between {min} and {max} characters");
        }

        return JsonPatterns.Quoted(Pattern.Repeat(JsonPatterns.Character, min ?? 0, max));
    }

    private static Pattern Integer(Keywords keywords, string path)
    {
        decimal? min = keywords.TakeNumber("minimum"), max = keywords.TakeNumber("maximum");
        decimal? above = keywords.TakeNumber("exclusiveMinimum"), below = keywords.TakeNumber("exclusiveMaximum");
        min = Larger(min is { } low ? Math.Ceiling(low) : null, above is { } open ? Math.Floor(open) + 1 : null);
        max = Smaller(max is { } high ? Math.Floor(high) : null, below is { } end ? Math.Ceiling(end) - 1 : null);
        return min is null && max is null ? JsonPatterns.Integer : IntegerRange.Between(Clamp(min), Clamp(max));
    }

    /// <summary>Bounds must be integers: between them lies an integer part with any fraction, or the upper bound itself.</summary>
    private static Pattern Number(Keywords keywords, string path)
    {
        decimal? min = keywords.TakeNumber("minimum"), max = keywords.TakeNumber("maximum");
        if (min is null && max is null)
        {
            return JsonPatterns.Number;
        }

        if ((min is { } low && decimal.Truncate(low) != low) || (max is { } high && decimal.Truncate(high) != high))
        {
            throw Error(path, "bounds of a number must be integers");
        }

        long? from = Clamp(min), to = Clamp(max);
        if (from > to)
        {
            throw Error(path, $"no number lies between {from} and {to}");
        }

        Pattern fraction = Pattern.Sequence(Pattern.Text("."), Pattern.Repeat(Pattern.Set(CodePointSet.Of(('0', '9'))), 1, 16));
        List<Pattern> options = [IntegerRange.Between(from, to)];
        long positiveTop = Math.Min(to ?? long.MaxValue, 1_000_000_000_000_000) - 1, negativeTop = Math.Min(-(from ?? -1_000_000_000_000_000), 1_000_000_000_000_000) - 1;
        if (positiveTop >= Math.Max(from ?? 0, 0))
        {
            options.Add(Pattern.Sequence(IntegerRange.Between(Math.Max(from ?? 0, 0), positiveTop), fraction));
        }

        if (negativeTop >= Math.Max(-(to ?? 0), 0))
        {
            options.Add(Pattern.Sequence(Pattern.Text("-"), IntegerRange.Between(Math.Max(-(to ?? 0), 0), negativeTop), fraction));
        }

        return Pattern.Choice([.. options]);
    }

    private static decimal? Larger(decimal? a, decimal? b) => a is null || b > a ? b ?? a : a;

    private static decimal? Smaller(decimal? a, decimal? b) => a is null || b < a ? b ?? a : a;

    private static long? Clamp(decimal? value) => value is { } number ? (long)Math.Clamp(number, -1e17m, 1e17m) : null;
}
