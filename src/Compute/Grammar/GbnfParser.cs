using System.Globalization;
using System.Text;

namespace Lamina.Compute.Grammar;

/// <summary>Reads llama.cpp's grammar notation: rules <c>name ::= alternatives</c> of literals, classes, names, groups and repetitions.</summary>
internal sealed class GbnfParser(string source)
{
    private readonly GrammarBuilder _builder = new();
    private readonly Dictionary<string, int> _rules = [];
    private int _position;
    private int _depth;

    public CompiledGrammar Parse()
    {
        SkipBlanks(newlines: true);
        while (_position < source.Length)
        {
            string name = Name();
            SkipBlanks(newlines: false);
            Expect("::=");
            SkipBlanks(newlines: true);
            int rule = Rule(name);
            if (_builder.IsDefined(rule))
            {
                throw Error($"the rule '{name}' is defined twice");
            }

            _builder.Define(rule, Alternatives(nested: false));
            if (_position < source.Length && Current is not ('\n' or '\r'))
            {
                throw Error($"unexpected '{Current}'");
            }

            SkipBlanks(newlines: true);
        }

        return _rules.TryGetValue("root", out int root) && _builder.IsDefined(root)
            ? _builder.Build(root)
            : throw new GrammarException("the grammar has no rule 'root'");
    }

    private char Current => _position < source.Length ? source[_position] : '\0';

    private Pattern Alternatives(bool nested)
    {
        if (++_depth > GrammarLimits.Depth)
        {
            throw Error($"groups nest deeper than {GrammarLimits.Depth}");
        }

        List<Pattern> options = [Sequence(nested)];
        while (Current == '|')
        {
            _position++;
            SkipBlanks(newlines: true);
            options.Add(Sequence(nested));
        }

        _depth--;
        return Pattern.Choice([.. options]);
    }

    private Pattern Sequence(bool nested)
    {
        List<Pattern> parts = [];
        while (true)
        {
            Pattern? part = Item();
            if (part is null)
            {
                return Pattern.Sequence([.. parts]);
            }

            SkipBlanks(nested);
            for (; Current is '*' or '+' or '?' or '{'; SkipBlanks(nested))
            {
                part = Repeated(part);
            }

            parts.Add(part);
        }
    }

    private Pattern? Item()
    {
        switch (Current)
        {
            case '"':
                return Literal();
            case '[':
                return Pattern.Set(Class());
            case '.':
                _position++;
                return Pattern.Set(CodePointSet.All);
            case '(':
                _position++;
                SkipBlanks(newlines: true);
                Pattern group = Alternatives(nested: true);
                Expect(")");
                return group;
            case char c when IsNameCharacter(c):
                return Pattern.Rule(Rule(Name()));
            default:
                return null;
        }
    }

    private Pattern Repeated(Pattern body)
    {
        switch (source[_position++])
        {
            case '*':
                return Pattern.Many(body);
            case '+':
                return Pattern.Repeat(body, 1, null);
            case '?':
                return Pattern.Optional(body);
        }

        SkipBlanks(newlines: false);
        int min = Number();
        SkipBlanks(newlines: false);
        int? max = min;
        if (Current == ',')
        {
            _position++;
            SkipBlanks(newlines: false);
            max = char.IsAsciiDigit(Current) ? Number() : null;
            SkipBlanks(newlines: false);
        }

        Expect("}");
        return Pattern.Repeat(body, min, max);
    }

    private Pattern Literal()
    {
        StringBuilder text = new();
        for (_position++; Current != '"';)
        {
            text.Append(Character().ToString());
        }

        _position++;
        return Pattern.Text(text.ToString());
    }

    private CodePointSet Class()
    {
        _position++;
        bool isNegated = Current == '^';
        _position += isNegated ? 1 : 0;
        List<(int, int)> ranges = [];
        while (Current != ']')
        {
            int first = Character().Value, last = first;
            if (Current == '-' && _position + 1 < source.Length && source[_position + 1] != ']')
            {
                _position++;
                last = Character().Value;
            }

            if (last < first)
            {
                throw Error("a range in a class runs backwards");
            }

            ranges.Add((first, last));
        }

        _position++;
        CodePointSet set = CodePointSet.Of(ranges);
        return isNegated ? set.Complement() : set;
    }

    private Rune Character()
    {
        if (_position >= source.Length)
        {
            throw Error("unexpected end of grammar");
        }

        if (Current == '\\')
        {
            _position++;
            return Escape();
        }

        if (Rune.DecodeFromUtf16(source.AsSpan(_position), out Rune rune, out int length) != System.Buffers.OperationStatus.Done)
        {
            throw Error("a lone surrogate");
        }

        _position += length;
        return rune;
    }

    private Rune Escape()
    {
        char c = Current;
        _position++;
        int digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0)
        {
            if (_position + digits > source.Length
                || !int.TryParse(source.AsSpan(_position, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
                || !Rune.IsValid(value))
            {
                throw Error("an escape is not a character");
            }

            _position += digits;
            return new Rune(value);
        }

        return c switch
        {
            'n' => new Rune('\n'),
            'r' => new Rune('\r'),
            't' => new Rune('\t'),
            '\\' or '"' or '[' or ']' or '-' or '^' => new Rune(c),
            _ => throw Error($"unknown escape '\\{c}'"),
        };
    }

    private int Rule(string name)
    {
        if (!_rules.TryGetValue(name, out int rule))
        {
            _rules[name] = rule = _builder.Declare(name);
        }

        return rule;
    }

    private string Name()
    {
        int start = _position;
        while (IsNameCharacter(Current))
        {
            _position++;
        }

        return _position > start ? source[start.._position] : throw Error(_position < source.Length ? $"unexpected '{Current}', expected a name" : "expected a name");
    }

    private int Number()
    {
        int start = _position;
        while (char.IsAsciiDigit(Current))
        {
            _position++;
        }

        return int.TryParse(source.AsSpan(start, _position - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw Error("expected a number that is not too large");
    }

    private static bool IsNameCharacter(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_';

    private void Expect(string text)
    {
        if (string.CompareOrdinal(source, _position, text, 0, text.Length) != 0)
        {
            throw Error($"expected '{text}'");
        }

        _position += text.Length;
    }

    private void SkipBlanks(bool newlines)
    {
        while (_position < source.Length && (Current is ' ' or '\t' or '#' || (newlines && Current is '\n' or '\r')))
        {
            if (Current == '#')
            {
                int end = source.AsSpan(_position).IndexOfAny('\r', '\n');
                _position = end < 0 ? source.Length : _position + end;
            }
            else
            {
                _position++;
            }
        }
    }

    private GrammarException Error(string reason) => new($"line {source.AsSpan(0, Math.Min(_position, source.Length)).Count('\n') + 1} of the grammar: {reason}");
}
