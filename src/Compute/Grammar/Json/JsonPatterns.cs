using Lamina.Compute.Grammar.Regex;

namespace Lamina.Compute.Grammar.Json;

/// <summary>Patterns of JSON's own syntax.</summary>
internal static class JsonPatterns
{
    private static readonly CodePointSet Unescaped = CodePointSet.Of((0, 0x1F), ('"', '"'), ('\\', '\\'), (0x7F, 0x7F)).Complement();
    private static readonly CodePointSet Hex = CodePointSet.Of(('0', '9'), ('a', 'f'), ('A', 'F'));
    private static readonly Dictionary<int, string> ShortEscapes = new()
    {
        ['"'] = "\\\"", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t", ['\b'] = "\\b", ['\f'] = "\\f",
    };

    /// <summary>One character of a string, plain or escaped; escapes of lone surrogates are left out.</summary>
    public static Pattern Character { get; } = Pattern.Choice(
        Pattern.Set(Unescaped),
        Pattern.Sequence(Pattern.Text("\\"), Pattern.Choice(
            Pattern.Set(CodePointSet.Of("\"\\/bfnrt")),
            Pattern.Sequence(Pattern.Text("u"), Pattern.Choice(
                Pattern.Sequence(Pattern.Set(Hex.Except(CodePointSet.Of("dD"))), Pattern.Repeat(Pattern.Set(Hex), 3, 3)),
                Pattern.Sequence(Pattern.Set(CodePointSet.Of("dD")), Pattern.Set(CodePointSet.Of(('0', '7'))), Pattern.Repeat(Pattern.Set(Hex), 2, 2)))))));

    /// <summary>Characters that need no escape.</summary>
    public static CodePointSet PlainCharacters => Unescaped;

    /// <summary>A little white space where JSON allows any: a model that may write it without end sometimes does.</summary>
    public static Pattern Space { get; } = Pattern.Optional(Pattern.Choice(
        Pattern.Text(" "), Pattern.Sequence(Pattern.Text("\n"), Pattern.Repeat(Pattern.Set(CodePointSet.Of(" \t")), 0, 20))));

    public static Pattern Integer { get; } = new RegexParser("-?(0|[1-9][0-9]{0,15})").Parse(isSearch: false);

    public static Pattern Number { get; } = new RegexParser("-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,16})?([eE][+-]?[0-9]{1,2})?").Parse(isSearch: false);

    /// <summary>Numbers within bounds: no exponent, and so few digits that readers who round to doubles stay within the bounds, too.</summary>
    public static Pattern Decimal { get; } = new RegexParser("-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,8})?").Parse(isSearch: false);

    /// <summary>The same with at most so many places behind the point.</summary>
    public static Pattern DecimalOf(int places) => new RegexParser("-?(0|[1-9][0-9]{0,14})" + (places > 0 ? $"(\\.[0-9]{{1,{places}}})?" : "")).Parse(isSearch: false);

    public static Pattern Quoted(Pattern content) => Pattern.Sequence(Pattern.Text("\""), content, Pattern.Text("\""));

    /// <summary>Characters of a set as they stand in a JSON string. Control characters without a short escape are left out.</summary>
    public static Pattern Escaped(CodePointSet set) =>
        TryEscaped(set) ?? throw new GrammarException("a pattern asks for characters that cannot stand in a JSON string");

    /// <inheritdoc cref="Escaped"/>
    public static Pattern? TryEscaped(CodePointSet set)
    {
        CodePointSet plain = set.Except(Unescaped.Complement());
        List<Pattern> options = plain.Ranges.Count > 0 ? [Pattern.Set(plain)] : [];
        options.AddRange(ShortEscapes.Where(pair => set.Contains(pair.Key)).Select(pair => Pattern.Text(pair.Value)));
        return options.Count > 0 ? Pattern.Choice([.. options]) : null;
    }
}
