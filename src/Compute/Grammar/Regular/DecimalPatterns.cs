using System.Globalization;
using System.Numerics;
using Lamina.Compute.Grammar.Json;

namespace Lamina.Compute.Grammar.Regular;

/// <summary>Patterns of decimal numbers without exponent above or below a bound, and automata of multiples.</summary>
internal static class DecimalPatterns
{
    /// <summary>Most residues that a multiple's automaton may have, times its places behind the point.</summary>
    private const long MaxResidues = 3_000;

    /// <summary>Digits behind the point that bounded numbers are written with.</summary>
    private const int MaxPlaces = 8;

    private static readonly Pattern AnyDigits = Pattern.Many(Pattern.Set(CodePointSet.Of(('0', '9'))));
    private static readonly Pattern SomeDigits = Pattern.Sequence(Pattern.Set(CodePointSet.Of(('0', '9'))), AnyDigits);
    private static readonly Pattern AnyFraction = Pattern.Optional(Pattern.Sequence(Pattern.Text("."), SomeDigits));
    private static readonly Pattern NotZero = Pattern.Sequence(Pattern.Many(Pattern.Text("0")), Pattern.Set(CodePointSet.Of(('1', '9'))), AnyDigits);

    /// <summary>Numbers from <paramref name="min"/> to <paramref name="max"/>, as automata that all must accept.</summary>
    public static IEnumerable<TextNfa> Between(decimal? min, bool aboveMin, decimal? max, bool belowMax, TextBudget budget)
    {
        if (min is { } low)
        {
            yield return TextNfa.Of(low > 0 || (low == 0 && aboveMin)
                ? AtLeast(low, aboveMin)
                : Pattern.Choice(AtLeast(0, strict: false), Negative(AtMost(-low, aboveMin))), budget);
        }

        if (max is { } high)
        {
            yield return TextNfa.Of(high < 0 || (high == 0 && belowMax)
                ? Negative(AtLeast(-high, belowMax)!)
                : Pattern.Choice([Negative(AtLeast(0, strict: false)), .. AtMost(high, belowMax) is { } positive ? new[] { positive } : []]), budget);
        }
    }

    /// <summary>Multiples of <paramref name="step"/>, whole or with as many places behind the point as the step has.</summary>
    public static TextNfa Multiples(decimal step, bool whole, TextBudget budget)
    {
        int places = step.Scale;
        decimal scaled = step;
        for (int i = 0; i < places; i++)
        {
            scaled *= 10;
        }

        if (scaled * (Math.Min(places, MaxPlaces) + 1) > MaxResidues)
        {
            throw new GrammarException($"multiples of {step.ToString(CultureInfo.InvariantCulture)} are too many to tell apart");
        }

        // Node (p, r): p places behind the point so far (0 before it), the digits so far leave r.
        int modulus = (int)scaled, fractions = whole ? 0 : Math.Min(places, MaxPlaces);
        var nfa = new TextNfa(budget);
        for (int place = 0; place <= fractions; place++)
        {
            // What is missing in places behind the point is zeros.
            int shift = (int)BigInteger.ModPow(10, places - place, modulus);
            for (int residue = 0; residue < modulus; residue++)
            {
                nfa.Node((long)residue * shift % modulus == 0);
            }
        }

        int point = fractions > 0 ? nfa.Count : -1;
        for (int residue = 0; residue < (fractions > 0 ? modulus : 0); residue++)
        {
            nfa.Node();
        }

        nfa.Edge(0, CodePointSet.Of("-"), 0);
        for (int residue = 0; residue < modulus; residue++)
        {
            for (int digit = 0; digit < 10; digit++)
            {
                CodePointSet set = CodePointSet.Of(('0' + digit, '0' + digit));
                int next = (int)((((long)residue * 10) + digit) % modulus);
                nfa.Edge(residue, set, next);
                for (int place = 0; place < fractions; place++)
                {
                    nfa.Edge(place == 0 ? point + residue : (place * modulus) + residue, set, ((place + 1) * modulus) + next);
                }
            }

            if (fractions > 0)
            {
                nfa.Edge(residue, CodePointSet.Of("."), point + residue);
            }
        }

        return nfa;
    }

    private static Pattern Negative(Pattern? magnitude) => magnitude is null ? Pattern.Text("-0") : Pattern.Sequence(Pattern.Text("-"), magnitude);

    private static (long Whole, string Fraction) Split(decimal value)
    {
        if (value >= 1e15m)
        {
            return ((long)1e15m, "");
        }

        string text = value.ToString(CultureInfo.InvariantCulture);
        int point = text.IndexOf('.', StringComparison.Ordinal);
        return ((long)decimal.Truncate(value), point < 0 ? "" : text[(point + 1)..].TrimEnd('0'));
    }

    private static Pattern AtLeast(decimal bound, bool strict)
    {
        if (bound >= 1e15m)
        {
            throw new GrammarException($"numbers beyond {bound.ToString(CultureInfo.InvariantCulture)} have more digits than are written");
        }

        (long whole, string fraction) = Split(bound);
        Pattern same = fraction.Length == 0 && !strict ? AnyFraction : Pattern.Sequence(Pattern.Text("."), DigitsAtLeast(fraction, strict));
        return Pattern.Choice(
            Pattern.Sequence(Pattern.Text(whole.ToString(CultureInfo.InvariantCulture)), same),
            Pattern.Sequence(IntegerRange.Between(whole + 1, null), AnyFraction));
    }

    private static Pattern DigitsAtLeast(string digits, bool strict)
    {
        if (digits.Length == 0)
        {
            return strict ? NotZero : AnyDigits;
        }

        Pattern same = Pattern.Sequence(Pattern.Text(digits[..1]), DigitsAtLeast(digits[1..], strict));
        return digits[0] == '9' ? same : Pattern.Choice(same, Pattern.Sequence(Pattern.Set(CodePointSet.Of((digits[0] + 1, '9'))), AnyDigits));
    }

    /// <summary>Null when there is none, as below zero.</summary>
    private static Pattern? AtMost(decimal bound, bool strict)
    {
        (long whole, string fraction) = Split(bound);
        List<Pattern> options = [];
        Pattern integer = Pattern.Text(whole.ToString(CultureInfo.InvariantCulture));
        if (fraction.Length > 0)
        {
            options.Add(Pattern.Sequence(integer, Pattern.Optional(Pattern.Sequence(Pattern.Text("."), DigitsAtMost(fraction, strict)))));
        }
        else if (!strict)
        {
            options.Add(Pattern.Sequence(integer, Pattern.Optional(Pattern.Sequence(Pattern.Text(".0"), Pattern.Many(Pattern.Text("0"))))));
        }

        if (whole > 0)
        {
            options.Add(Pattern.Sequence(IntegerRange.Between(0, whole - 1), AnyFraction));
        }

        return options.Count > 0 ? Pattern.Choice([.. options]) : null;
    }

    private static Pattern DigitsAtMost(string digits, bool strict)
    {
        List<Pattern> options = [];
        if (digits[0] > '0')
        {
            options.Add(Pattern.Sequence(Pattern.Set(CodePointSet.Of(('0', digits[0] - 1))), AnyDigits));
        }

        // The digits end in none that is zero, so that what stops early is smaller.
        Pattern same = Pattern.Text(digits[..1]);
        if (digits.Length > 1)
        {
            options.Add(Pattern.Sequence(same, Pattern.Optional(DigitsAtMost(digits[1..], strict))));
        }
        else if (!strict)
        {
            options.Add(Pattern.Sequence(same, Pattern.Many(Pattern.Text("0"))));
        }

        return Pattern.Choice([.. options]);
    }
}
