using System.Globalization;
using System.Text;

namespace Lamina.Compute.Templates.Syntax;

internal sealed partial class Lexer
{
    private static readonly string[] Operators =
    [
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",", ";", "(", ")", "[", "]", "{", "}",
    ];

    /// <summary>Tokens up to the end of the tag. Inside brackets an end mark is an operator: <c>{{ {'a': {}} }}</c>.</summary>
    private void TokenizeTag(bool isBlock)
    {
        _tokens.Add(new Token(isBlock ? TokenKind.BlockBegin : TokenKind.VariableBegin, isBlock ? "{%" : "{{", _line));
        Stack<char> brackets = [];
        while (true)
        {
            CheckTokens();
            MoveTo(SkipBlanks(_position));
            if (_position >= _source.Length)
            {
                throw Error("unexpected end of template inside a tag");
            }

            if (brackets.Count == 0 && TryTagEnd(isBlock))
            {
                return;
            }

            char c = _source[_position];
            if (c is '\'' or '"')
            {
                ReadText(c);
            }
            else if (char.IsAsciiDigit(c))
            {
                ReadNumber();
            }
            else if (char.IsLetter(c) || c == '_')
            {
                int start = _position;
                while (_position < _source.Length && (char.IsLetterOrDigit(_source[_position]) || _source[_position] == '_'))
                {
                    _position++;
                }

                _tokens.Add(new Token(TokenKind.Name, _source[start.._position], _line));
            }
            else
            {
                ReadOperator(brackets);
            }
        }
    }

    private bool TryTagEnd(bool isBlock)
    {
        string end = isBlock ? "%}" : "}}";
        char sign = _source[_position] is '-' || (isBlock && _source[_position] is '+') ? _source[_position] : '\0';
        int at = sign == '\0' ? _position : _position + 1;
        if (string.CompareOrdinal(_source, at, end, 0, 2) != 0)
        {
            return false;
        }

        _tokens.Add(new Token(isBlock ? TokenKind.BlockEnd : TokenKind.VariableEnd, end, _line));
        MoveTo(at + 2);
        StripAfter(sign, trimNewline: isBlock);
        return true;
    }

    private void ReadOperator(Stack<char> brackets)
    {
        string? op = OperatorAt(_position);
        if (op is null)
        {
            throw Error($"unexpected character '{_source[_position]}'");
        }

        if (brackets.Count > TemplateLimits.ParseDepth)
        {
            throw Error($"brackets nest deeper than {TemplateLimits.ParseDepth}");
        }

        if (op is "(" or "[" or "{")
        {
            brackets.Push(op[0] == '(' ? ')' : op[0] == '[' ? ']' : '}');
        }
        else if (op is ")" or "]" or "}" && !(brackets.TryPop(out char expected) && expected == op[0]))
        {
            throw Error($"unexpected '{op}'");
        }

        _tokens.Add(new Token(TokenKind.Operator, op, _line));
        _position += op.Length;
    }

    private string? OperatorAt(int position)
    {
        foreach (string candidate in Operators)
        {
            if (_source[position] == candidate[0] && (candidate.Length == 1 || (position + 1 < _source.Length && _source[position + 1] == candidate[1])))
            {
                return candidate;
            }
        }

        return null;
    }

    private void ReadNumber()
    {
        int start = _position;
        char radix = start + 1 < _source.Length ? char.ToLowerInvariant(_source[start + 1]) : '\0';
        if (_source[start] == '0' && radix is 'x' or 'o' or 'b')
        {
            _position += 2;
            Digits(char.IsAsciiHexDigit);
            string digits = _source[(start + 2).._position].Replace("_", "", StringComparison.Ordinal);
            int numberBase = radix switch { 'x' => 16, 'o' => 8, _ => 2 };
            if (digits.Length is 0 or > 60 || digits.Any(c => Convert.ToInt32(c.ToString(), 16) >= numberBase))
            {
                throw Error($"'{_source[start.._position]}' is not a number");
            }

            long value = 0;
            foreach (char c in digits)
            {
                value = unchecked(value * numberBase + Convert.ToInt32(c.ToString(), 16));
            }

            _tokens.Add(new Token(TokenKind.Integer, value.ToString(CultureInfo.InvariantCulture), _line));
            return;
        }

        Digits(char.IsAsciiDigit);
        bool isFloat = false;
        bool afterDot = start > 0 && _source[start - 1] == '.';
        if (!afterDot && _position + 1 < _source.Length && _source[_position] == '.' && char.IsAsciiDigit(_source[_position + 1]))
        {
            isFloat = true;
            _position++;
            Digits(char.IsAsciiDigit);
        }

        if (!afterDot && _position < _source.Length && _source[_position] is 'e' or 'E')
        {
            int sign = _position + 1 < _source.Length && _source[_position + 1] is '+' or '-' ? 2 : 1;
            if (_position + sign < _source.Length && char.IsAsciiDigit(_source[_position + sign]))
            {
                isFloat = true;
                _position += sign;
                Digits(char.IsAsciiDigit);
            }
        }

        string text = _source[start.._position].Replace("_", "", StringComparison.Ordinal);
        _tokens.Add(new Token(isFloat ? TokenKind.Float : TokenKind.Integer, text, _line));
    }

    private void Digits(Func<char, bool> isDigit)
    {
        while (_position < _source.Length && (isDigit(_source[_position]) || _source[_position] == '_'))
        {
            _position++;
        }
    }

    private void ReadText(char quote)
    {
        int line = _line;
        StringBuilder text = new();
        for (_position++; ; _position++)
        {
            if (_position >= _source.Length)
            {
                throw new TemplateException($"line {line}: a string has no end");
            }

            char c = _source[_position];
            if (c == quote)
            {
                _position++;
                break;
            }

            _line += c == '\n' ? 1 : 0;
            if (c == '\\' && _position + 1 < _source.Length)
            {
                _position++;
                ReadEscape(text);
            }
            else
            {
                text.Append(c);
            }
        }

        _tokens.Add(new Token(TokenKind.Text, text.ToString(), line));
    }

    /// <summary>Python's escapes; an unknown one stands for itself with its backslash.</summary>
    private void ReadEscape(StringBuilder text)
    {
        char c = _source[_position];
        switch (c)
        {
            case '\n':
                _line++;
                break;
            case '\\' or '\'' or '"':
                text.Append(c);
                break;
            case 'a' or 'b' or 'f' or 'n' or 'r' or 't' or 'v':
                text.Append("\a\b\f\n\r\t\v"["abfnrtv".IndexOf(c)]);
                break;
            case 'x':
                ReadCodePoint(text, 2);
                break;
            case 'u':
                ReadCodePoint(text, 4);
                break;
            case 'U':
                ReadCodePoint(text, 8);
                break;
            case >= '0' and <= '7':
                int value = 0, digits = 0;
                for (; digits < 3 && _position < _source.Length && _source[_position] is >= '0' and <= '7'; digits++)
                {
                    value = value * 8 + (_source[_position++] - '0');
                }

                _position--;
                text.Append((char)value);
                break;
            default:
                text.Append('\\').Append(c);
                break;
        }
    }

    private void ReadCodePoint(StringBuilder text, int digits)
    {
        if (_position + digits >= _source.Length
            || !int.TryParse(_source.AsSpan(_position + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            || value is < 0 or > 0x10FFFF)
        {
            throw Error("an escape in a string is not complete");
        }

        _position += digits;
        _ = value < 0x10000 ? text.Append((char)value) : text.Append(char.ConvertFromUtf32(value));
    }
}
