using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Syntax;

internal abstract record Statement(int Line);

internal sealed record DataStatement(MarkedText Text, int Line) : Statement(Line);

internal sealed record OutputStatement(Expression Expression, int Line) : Statement(Line);

internal sealed record IfStatement(
    IReadOnlyList<(Expression Condition, IReadOnlyList<Statement> Body)> Branches, IReadOnlyList<Statement> Else, int Line) : Statement(Line);

internal sealed record ForStatement(
    AssignmentTarget Target, Expression Items, Expression? Filter, bool IsRecursive,
    IReadOnlyList<Statement> Body, IReadOnlyList<Statement> Else, int Line) : Statement(Line);

internal sealed record SetStatement(AssignmentTarget Target, Expression Value, int Line) : Statement(Line);

/// <summary>The rendered body becomes the value, through a filter where there is one.</summary>
internal sealed record SetBlockStatement(
    AssignmentTarget Target, IReadOnlyList<FilterExpression> Filters, IReadOnlyList<Statement> Body, int Line) : Statement(Line);

internal sealed record MacroStatement(string Name, MacroSignature Signature, IReadOnlyList<Statement> Body, int Line) : Statement(Line);

internal sealed record CallStatement(CallExpression Call, MacroSignature Signature, IReadOnlyList<Statement> Body, int Line) : Statement(Line);

internal sealed record FilterStatement(IReadOnlyList<FilterExpression> Filters, IReadOnlyList<Statement> Body, int Line) : Statement(Line);

internal sealed record WithStatement(
    IReadOnlyList<(AssignmentTarget Target, Expression Value)> Variables, IReadOnlyList<Statement> Body, int Line) : Statement(Line);

/// <summary>A body in a scope of its own, such as <c>generation</c> or <c>block</c>.</summary>
internal sealed record ScopeStatement(IReadOnlyList<Statement> Body, int Line) : Statement(Line);

internal sealed record ExpressionStatement(Expression Expression, int Line) : Statement(Line);

internal sealed record BreakStatement(int Line) : Statement(Line);

internal sealed record ContinueStatement(int Line) : Statement(Line);

/// <summary>A name, an attribute of a namespace, or several targets.</summary>
/// <param name="Attribute">Attribute of the namespace <paramref name="Name"/>, or null.</param>
/// <param name="Parts">Targets of an unpacking, else empty.</param>
internal sealed record AssignmentTarget(string Name, string? Attribute, IReadOnlyList<AssignmentTarget> Parts);

/// <summary>Parameters with their defaults, null where there is none.</summary>
/// <param name="UsesVarargs">Whether the body reads <c>varargs</c>, without which more arguments than parameters are an error; so for the other two.</param>
internal sealed record MacroSignature(
    IReadOnlyList<(string Name, Expression? Default)> Parameters, bool UsesVarargs, bool UsesKwargs, bool UsesCaller);
