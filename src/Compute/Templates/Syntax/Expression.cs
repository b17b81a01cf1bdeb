using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Syntax;

/// <summary>Nodes of an expression; each knows its line for error messages.</summary>
internal abstract record Expression(int Line);

internal sealed record ConstantExpression(Value Value, int Line) : Expression(Line);

internal sealed record NameExpression(string Name, int Line) : Expression(Line);

internal sealed record ListExpression(IReadOnlyList<Expression> Items, bool IsTuple, int Line) : Expression(Line);

internal sealed record DictExpression(IReadOnlyList<(Expression Key, Expression Value)> Items, int Line) : Expression(Line);

internal sealed record AttributeExpression(Expression Target, string Name, int Line) : Expression(Line);

internal sealed record ItemExpression(Expression Target, Expression Index, int Line) : Expression(Line);

internal sealed record SliceExpression(Expression? Start, Expression? Stop, Expression? Step, int Line) : Expression(Line);

internal sealed record CallExpression(Expression Target, CallArguments Arguments, int Line) : Expression(Line);

internal sealed record FilterExpression(Expression Target, string Name, CallArguments Arguments, int Line) : Expression(Line);

internal sealed record TestExpression(Expression Target, string Name, CallArguments Arguments, bool IsNegated, int Line) : Expression(Line);

/// <param name="Operator">'-', '+' or 'not'.</param>
internal sealed record UnaryExpression(string Operator, Expression Operand, int Line) : Expression(Line);

internal sealed record BinaryExpression(string Operator, Expression Left, Expression Right, int Line) : Expression(Line);

/// <summary>'and' or 'or': gives one of its operands.</summary>
internal sealed record LogicalExpression(bool IsAnd, Expression Left, Expression Right, int Line) : Expression(Line);

/// <summary>Parts joined by '~' as text.</summary>
internal sealed record ConcatExpression(IReadOnlyList<Expression> Parts, int Line) : Expression(Line);

/// <summary>A chain as in <c>a &lt; b &lt;= c</c>.</summary>
internal sealed record ComparisonExpression(Expression First, IReadOnlyList<(string Operator, Expression Operand)> Rest, int Line) : Expression(Line);

internal sealed record ConditionalExpression(Expression Condition, Expression Then, Expression? Else, int Line) : Expression(Line);

/// <param name="Spread">What stands behind '*', or null.</param>
/// <param name="SpreadKeywords">What stands behind '**', or null.</param>
internal sealed record CallArguments(
    IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Keywords, Expression? Spread, Expression? SpreadKeywords)
{
    public static readonly CallArguments None = new([], [], null, null);
}
