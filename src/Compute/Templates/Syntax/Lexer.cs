namespace Lamina.Compute.Templates.Syntax;

/// <summary>
/// Cuts a template into text and the tokens of its tags. Whitespace around tags follows Jinja2 with <c>trim_blocks</c> and <c>lstrip_blocks</c>: the newline
/// after a block or comment and the blanks before it on its line disappear; '-' strips more, '+' keeps.
/// </summary>
internal sealed partial class Lexer
{
    private readonly string _source;
    private readonly List<Token> _tokens = [];
    private int _position;
    private int _line = 1;

    public Lexer(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        _source = source.EndsWith('\n') ? source[..^1] : source;
    }

    public List<Token> Tokenize()
    {
        // whether only what ended in a newline stands before the text that begins here
        bool lineStarting = true;
        while (_position < _source.Length)
        {
            CheckTokens();
            int tag = FindTag(_position);
            string text = _source[_position..(tag < 0 ? _source.Length : tag)];
            if (tag < 0)
            {
                AddData(text);
                _position = _source.Length;
                break;
            }

            char kind = _source[tag + 1];
            char sign = tag + 2 < _source.Length ? _source[tag + 2] : '\0';
            AddData(StripBefore(text, kind, sign, lineStarting));
            CountLines(_position, tag);
            _position = tag + (sign is '-' or '+' && kind != '{' || sign == '-' ? 3 : 2);
            switch (kind)
            {
                case '#':
                    SkipComment();
                    break;
                case '%' when TryRaw():
                    break;
                default:
                    TokenizeTag(kind == '%');
                    break;
            }

            lineStarting = _source[_position - 1] == '\n';
        }

        _tokens.Add(new Token(TokenKind.End, "", _line));
        return _tokens;
    }

    private void CheckTokens()
    {
        if (_tokens.Count > TemplateLimits.Tokens)
        {
            throw Error($"the template has more than {TemplateLimits.Tokens} tokens");
        }
    }

    private int FindTag(int from)
    {
        for (int at = _source.IndexOf('{', from); at >= 0 && at + 1 < _source.Length; at = _source.IndexOf('{', at + 1))
        {
            if (_source[at + 1] is '{' or '%' or '#')
            {
                return at;
            }
        }

        return -1;
    }

    private static string StripBefore(string text, char kind, char sign, bool lineStarting)
    {
        if (sign == '-')
        {
            return text.TrimEnd();
        }

        if (kind == '{' || sign == '+')
        {
            return text;
        }

        int lineStart = text.LastIndexOf('\n') + 1;
        return (lineStart > 0 || lineStarting) && text.AsSpan(lineStart).IsWhiteSpace() ? text[..lineStart] : text;
    }

    private void AddData(string text)
    {
        if (text.Length > 0)
        {
            _tokens.Add(new Token(TokenKind.Data, text, _line));
        }
    }

    private void SkipComment()
    {
        int end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0)
        {
            throw Error("missing end of comment");
        }

        char sign = end > _position ? _source[end - 1] : '\0';
        MoveTo(end + 2);
        StripAfter(sign, trimNewline: true);
    }

    /// <summary>At <c>{% raw %}</c>, takes the text up to <c>{% endraw %}</c> as it stands.</summary>
    private bool TryRaw()
    {
        int open = _position;
        if (!TryWordAndEnd("raw", ref open, out char openSign))
        {
            return false;
        }

        MoveTo(open);
        StripAfter(openSign, trimNewline: false);
        for (int tag = _source.IndexOf("{%", _position, StringComparison.Ordinal); tag >= 0; tag = _source.IndexOf("{%", tag + 2, StringComparison.Ordinal))
        {
            char sign = tag + 2 < _source.Length ? _source[tag + 2] : '\0';
            int close = tag + (sign is '-' or '+' ? 3 : 2);
            if (TryWordAndEnd("endraw", ref close, out char closeSign))
            {
                AddData(StripBefore(_source[_position..tag], '%', sign, lineStarting: _source[_position - 1] == '\n'));
                MoveTo(close);
                StripAfter(closeSign, trimNewline: true);
                return true;
            }
        }

        throw Error("missing end of raw directive");
    }

    private bool TryWordAndEnd(string word, ref int position, out char sign)
    {
        sign = '\0';
        int at = SkipBlanks(position);
        if (string.CompareOrdinal(_source, at, word, 0, word.Length) != 0)
        {
            return false;
        }

        at = SkipBlanks(at + word.Length);
        if (at < _source.Length && _source[at] is '-' or '+')
        {
            sign = _source[at++];
        }

        position = at + 2;
        return string.CompareOrdinal(_source, at, "%}", 0, 2) == 0;
    }

    private int SkipBlanks(int at)
    {
        while (at < _source.Length && char.IsWhiteSpace(_source[at]))
        {
            at++;
        }

        return at;
    }

    private void StripAfter(char sign, bool trimNewline)
    {
        if (sign == '-')
        {
            MoveTo(SkipBlanks(_position));
        }
        else if (trimNewline && sign != '+' && _position < _source.Length && _source[_position] == '\n')
        {
            MoveTo(_position + 1);
        }
    }

    private void MoveTo(int position)
    {
        CountLines(_position, position);
        _position = position;
    }

    private void CountLines(int from, int to) => _line += _source.AsSpan(from, to - from).Count('\n');

    private TemplateException Error(string reason) => new($"line {_line}: {reason}");
}
