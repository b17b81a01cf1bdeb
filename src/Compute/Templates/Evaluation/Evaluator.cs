using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Syntax;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>Renders one template once: walks its tree with the input's variables, within the budget.</summary>
internal sealed partial class Evaluator
{
    private readonly Scope _root = new(Globals.Scope);
    private MarkedTextBuilder _output = new();
    private Scope _scope;

    public Evaluator(TemplateInput input)
    {
        _scope = _root;
        Now = input.Now;
        foreach ((string name, Value value) in InputValues.Read(input.Variables))
        {
            _root.Set(name, value);
        }
    }

    public Budget Budget { get; } = new();

    public DateTime? Now { get; }

    public RenderedPrompt Render(IReadOnlyList<Statement> body)
    {
        Execute(body);
        return _output.ToPrompt();
    }

    /// <summary>What a body writes, instead of to the output.</summary>
    private MarkedText Capture(IReadOnlyList<Statement> body)
    {
        MarkedTextBuilder outer = _output;
        _output = new MarkedTextBuilder();
        Execute(body);
        MarkedText text = _output.ToMarkedText();
        _output = outer;
        Budget.Write(text.Length);
        return text;
    }

    private void InScope(Scope scope, Action action)
    {
        Scope outer = _scope;
        _scope = scope;
        action();
        _scope = outer;
    }

    private static TemplateException At(int line, TemplateException inner) =>
        inner.Message.StartsWith("line ", StringComparison.Ordinal) ? inner : new TemplateException($"line {line}: {inner.Message}");
}
