using System.Globalization;
using System.Text;

namespace Lamina.Compute.Grammar.Regex;

/// <summary>
/// Reads the regular part of ECMAScript's regular expressions into a pattern, which the automaton then matches without backtracking. Look-around, back
/// references and word boundaries are refused; lazy and greedy repetitions match the same texts.
/// </summary>
/// <param name="wrap">What a set of code points becomes, for text that stands inside JSON strings; null leaves it as it is.</param>
internal sealed class RegexParser(string source, Func<CodePointSet, Pattern>? wrap = null)
{
    private static readonly CodePointSet Digits = CodePointSet.Of(('0', '9'));
    private static readonly CodePointSet Word = CodePointSet.Of(('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_'));
    private static readonly CodePointSet Space = CodePointSet.Of(
        (9, 13), (' ', ' '), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));
    private static readonly CodePointSet NoNewline = CodePointSet.Of(('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)).Complement();

    private int _position;
    private int _depth;

    private char Current => _position < source.Length ? source[_position] : '\0';

    private bool AtEnd => _position >= source.Length;

    /// <param name="isSearch">Whether a match may stand anywhere in the text, where the pattern has no anchors; else it is the whole text.</param>
    public Pattern Parse(bool isSearch)
    {
        List<Pattern> options = [];
        do
        {
            options.Add(TopAlternative(isSearch));
        }
        while (Try('|'));

        return AtEnd ? Pattern.Choice([.. options]) : throw Error($"unexpected '{Current}'");
    }

    /// <summary>Anchors are allowed at the ends of the alternatives outside all groups.</summary>
    private Pattern TopAlternative(bool isSearch)
    {
        bool fromStart = Try('^');
        Pattern body = Sequence();
        bool toEnd = Try('$');
        Pattern anything = Pattern.Many(Set(CodePointSet.All));
        return !isSearch ? body : Pattern.Sequence(fromStart ? Pattern.Empty : anything, body, toEnd ? Pattern.Empty : anything);
    }

    private Pattern Alternatives()
    {
        if (++_depth > GrammarLimits.Depth)
        {
            throw Error($"groups nest deeper than {GrammarLimits.Depth}");
        }

        List<Pattern> options = [];
        do
        {
            options.Add(Sequence());
        }
        while (Try('|'));
        _depth--;
        return Pattern.Choice([.. options]);
    }

    private Pattern Sequence()
    {
        List<Pattern> parts = [];
        while (!AtEnd && Current is not ('|' or ')' or '$'))
        {
            Pattern part = Atom();
            for (int repeats = 0; Current is '*' or '+' or '?' || (Current == '{' && IsCount()); repeats++)
            {
                if (repeats == 1)
                {
                    throw Error("nothing to repeat");
                }

                part = Repeated(part);
            }

            parts.Add(part);
        }

        return Pattern.Sequence([.. parts]);
    }

    private Pattern Atom()
    {
        switch (Current)
        {
            case '(':
                _position++;
                SkipGroupKind();
                Pattern group = Alternatives();
                return Try(')') ? group : throw Error("a group has no end");
            case '[':
                _position++;
                return Set(Class());
            case '.':
                _position++;
                return Set(NoNewline);
            case '\\':
                _position++;
                return Set(Escape(inClass: false));
            case '*' or '+' or '?':
                throw Error("nothing to repeat");
            case '^':
                throw Error("an anchor inside the pattern is not supported");
            default:
                return Set(Single(Character()));
        }
    }

    private void SkipGroupKind()
    {
        if (!Try('?'))
        {
            return;
        }

        if (Try(':'))
        {
            return;
        }

        int close = source.IndexOf('>', _position);
        bool isNamed = (Current == 'P' || Current == '<') && close > 0 && !source.AsSpan(_position).StartsWith("<=") && !source.AsSpan(_position).StartsWith("<!");
        if (!isNamed || (Current == 'P' && !source.AsSpan(_position).StartsWith("P<")))
        {
            throw Error("look-around and inline options are not supported");
        }

        _position = close + 1;
    }

    private Pattern Repeated(Pattern body)
    {
        (int min, int? max) = Current switch { '*' => (0, null), '+' => (1, null), '?' => (0, 1), _ => (-1, (int?)null) };
        _position++;
        if (min < 0)
        {
            min = Number();
            max = min;
            if (Try(','))
            {
                max = Current == '}' ? null : Number();
            }

            _position++;
        }

        // a lazy repetition matches the same texts
        Try('?');
        return Pattern.Repeat(body, min, max);
    }

    private bool IsCount()
    {
        int at = _position + 1;
        while (at < source.Length && (char.IsAsciiDigit(source[at]) || source[at] == ','))
        {
            at++;
        }

        return at > _position + 1 && at < source.Length && source[at] == '}' && char.IsAsciiDigit(source[_position + 1])
            && source.AsSpan(_position, at - _position).Count(',') <= 1;
    }

    private int Number()
    {
        int start = _position;
        while (char.IsAsciiDigit(Current))
        {
            _position++;
        }

        return int.TryParse(source.AsSpan(start, _position - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number : throw Error("a repetition count is too large");
    }

    private CodePointSet Class()
    {
        bool isNegated = Try('^');
        CodePointSet set = CodePointSet.Of();
        while (!Try(']'))
        {
            if (AtEnd)
            {
                throw Error("a character class has no end");
            }

            CodePointSet first = ClassItem();
            if (Current == '-' && _position + 1 < source.Length && source[_position + 1] != ']' && IsSingle(first))
            {
                _position++;
                CodePointSet last = ClassItem();
                if (!IsSingle(last) || last.Ranges[0].First < first.Ranges[0].First)
                {
                    throw Error("a range in a character class is not in order");
                }

                first = CodePointSet.Of((first.Ranges[0].First, last.Ranges[0].First));
            }

            set = set.Union(first);
        }

        return isNegated ? set.Complement() : set;
    }

    private CodePointSet ClassItem() => Try('\\') ? Escape(inClass: true) : Single(Character());

    private CodePointSet Escape(bool inClass)
    {
        if (AtEnd)
        {
            throw Error("the pattern ends in a backslash");
        }

        char c = source[_position++];
        switch (c)
        {
            case 'd':
                return Digits;
            case 'D':
                return Digits.Complement();
            case 'w':
                return Word;
            case 'W':
                return Word.Complement();
            case 's':
                return Space;
            case 'S':
                return Space.Complement();
            case 'n' or 'r' or 't' or 'f' or 'v':
                return Single("\n\r\t\f\v"["nrtfv".IndexOf(c)]);
            case '0' when !char.IsAsciiDigit(Current):
                return Single(0);
            case 'b' when inClass:
                return Single('\b');
            case 'x':
                return Single(Hex(2));
            case 'u':
                return Single(Hex(4));
            default:
                return char.IsAsciiLetterOrDigit(c) ? throw Error($"'\\{c}' is not supported") : Single(c);
        }
    }

    private int Hex(int digits)
    {
        if (_position + digits > source.Length
            || !int.TryParse(source.AsSpan(_position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || !Rune.IsValid(value))
        {
            throw Error("an escape is not a character");
        }

        _position += digits;
        return value;
    }

    private int Character()
    {
        if (Rune.DecodeFromUtf16(source.AsSpan(_position), out Rune rune, out int length) != System.Buffers.OperationStatus.Done)
        {
            throw Error("a lone surrogate");
        }

        _position += length;
        return rune.Value;
    }

    private Pattern Set(CodePointSet set) => wrap is null ? Pattern.Set(set) : wrap(set);

    private static CodePointSet Single(int value) => CodePointSet.Of((value, value));

    private static bool IsSingle(CodePointSet set) => set.Ranges is [(int first, int last)] && first == last;

    private bool Try(char c)
    {
        bool matches = !AtEnd && source[_position] == c;
        _position += matches ? 1 : 0;
        return matches;
    }

    private GrammarException Error(string reason) => new($"the regular expression is not usable, at character {_position}: {reason}");
}
