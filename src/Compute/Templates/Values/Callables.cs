using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Syntax;

namespace Lamina.Compute.Templates.Values;

/// <summary>A function or method of the language.</summary>
internal sealed class FunctionValue(string name, Func<Evaluator, Arguments, Value> invoke) : Value
{
    public string Name { get; } = name;

    public override string TypeName => "function";

    public Value Invoke(Evaluator evaluator, Arguments arguments) => invoke(evaluator, arguments);
}

/// <summary>A macro with the scope in which it was defined; a call block's body is one too, named caller.</summary>
internal sealed class MacroValue(string name, MacroSignature signature, IReadOnlyList<Statement> body, Scope scope) : Value
{
    public string Name { get; } = name;

    public MacroSignature Signature { get; } = signature;

    public IReadOnlyList<Statement> Body { get; } = body;

    public Scope Scope { get; } = scope;

    public override string TypeName => "macro";
}

/// <summary>The variable <c>loop</c>; calling it renders the loop again for other items, where the loop is recursive.</summary>
internal sealed class LoopValue(ForStatement statement, IReadOnlyList<Value> items, Scope scope, int depth) : Value
{
    /// <summary>What <c>loop.changed</c> saw last.</summary>
    public IReadOnlyList<Value>? LastChanged { get; set; }

    public ForStatement Statement { get; } = statement;

    public IReadOnlyList<Value> Items { get; } = items;

    /// <summary>Scope around the loop.</summary>
    public Scope Scope { get; } = scope;

    /// <summary>0 for the outermost.</summary>
    public int Depth { get; } = depth;

    public int Index { get; set; }

    public override string TypeName => "LoopContext";
}
