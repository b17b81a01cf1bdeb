namespace Lamina.Compute.Templates.Syntax;

/// <summary>Builds the tree of a template by recursive descent; nesting is bounded by <see cref="TemplateLimits.ParseDepth"/>.</summary>
internal sealed partial class Parser(IReadOnlyList<Token> tokens)
{
    private int _position;
    private int _depth;
    private int _loops;

    // names read since the last macro began: tell whether it uses varargs, kwargs or caller
    private readonly Stack<HashSet<string>> _macroNames = [];

    private Token Current => tokens[_position];

    public IReadOnlyList<Statement> ParseTemplate()
    {
        IReadOnlyList<Statement> body = ParseBody();
        return Current.Kind == TokenKind.End ? body : throw Unexpected();
    }

    private Token Next() => tokens[_position < tokens.Count - 1 ? _position++ : _position];

    private bool TryOperator(string op)
    {
        bool matches = Current.IsOperator(op);
        _position += matches ? 1 : 0;
        return matches;
    }

    private bool TryName(string name)
    {
        bool matches = Current.IsName(name);
        _position += matches ? 1 : 0;
        return matches;
    }

    private void ExpectOperator(string op)
    {
        if (!TryOperator(op))
        {
            throw Unexpected($"'{op}'");
        }
    }

    private void ExpectName(string name)
    {
        if (!TryName(name))
        {
            throw Unexpected($"'{name}'");
        }
    }

    private string ExpectIdentifier() => Current.Kind == TokenKind.Name ? Next().Text : throw Unexpected("a name");

    private void Expect(TokenKind kind, string description)
    {
        if (Current.Kind != kind)
        {
            throw Unexpected(description);
        }

        Next();
    }

    private void Enter()
    {
        if (++_depth > TemplateLimits.ParseDepth)
        {
            throw new TemplateException($"line {Current.Line}: the template nests deeper than {TemplateLimits.ParseDepth}");
        }
    }

    private void Leave() => _depth--;

    private TemplateException Unexpected(string? expected = null) => new(
        $"line {Current.Line}: unexpected {Current.Description}{(expected is null ? "" : $", expected {expected}")}");
}
