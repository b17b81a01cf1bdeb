using System.Globalization;

namespace Lamina.Compute.Grammar.Json;

/// <summary>Patterns of the decimal integers between two bounds.</summary>
internal static class IntegerRange
{
    private static readonly Pattern Digit = Pattern.Set(CodePointSet.Of(('0', '9')));

    private const long Largest = 9_999_999_999_999_999;

    /// <summary>Null bounds are the widest that sixteen digits allow.</summary>
    public static Pattern Between(long? min, long? max)
    {
        long low = Math.Max(min ?? -Largest, -Largest), high = Math.Min(max ?? Largest, Largest);
        if (low > high)
        {
            throw new GrammarException($"no integer lies between {min} and {max}");
        }

        List<Pattern> options = [];
        if (low < 0)
        {
            options.Add(Pattern.Sequence(Pattern.Text("-"), Natural(Math.Max(1, -Math.Min(high, -1)), -low)));
        }

        if (high >= 0)
        {
            options.Add(Natural(Math.Max(low, 0), high));
        }

        return Pattern.Choice([.. options]);
    }

    private static Pattern Natural(long low, long high)
    {
        List<Pattern> options = [];
        for (long start = low; start <= high;)
        {
            // one option per number of digits
            string digits = Text(start);
            long longest = (long)Math.Pow(10, digits.Length) - 1;
            long end = Math.Min(high, longest);
            options.Add(SameLength(digits, Text(end)));
            start = end + 1;
        }

        return Pattern.Choice([.. options]);
    }

    private static Pattern SameLength(string low, string high)
    {
        if (low.Length == 0)
        {
            return Pattern.Empty;
        }

        if (low.AsSpan().TrimStart('0').IsEmpty && high.AsSpan().TrimStart('9').IsEmpty)
        {
            return Pattern.Repeat(Digit, low.Length, low.Length);
        }

        if (low[0] == high[0])
        {
            return Pattern.Sequence(Pattern.Text(low[..1]), SameLength(low[1..], high[1..]));
        }

        List<Pattern> options =
        [
            Pattern.Sequence(Pattern.Text(low[..1]), SameLength(low[1..], new string('9', low.Length - 1))),
            Pattern.Sequence(Pattern.Text(high[..1]), SameLength(new string('0', high.Length - 1), high[1..])),
        ];
        if (low[0] + 1 < high[0])
        {
            options.Add(Pattern.Sequence(
                Pattern.Set(CodePointSet.Of((low[0] + 1, high[0] - 1))), Pattern.Repeat(Digit, low.Length - 1, low.Length - 1)));
        }

        return Pattern.Choice([.. options]);
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
