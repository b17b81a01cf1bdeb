using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Syntax;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

internal sealed partial class Evaluator
{
    private enum Flow
    {
        Normal,
        Break,
        Continue,
    }

    private Flow Execute(IReadOnlyList<Statement> body)
    {
        Budget.Enter();
        Flow flow = Flow.Normal;
        for (int i = 0; i < body.Count && flow == Flow.Normal; i++)
        {
            Budget.Step();
            try
            {
                flow = Execute(body[i]);
            }
            catch (TemplateException exception)
            {
                throw At(body[i].Line, exception);
            }
        }

        Budget.Leave();
        return flow;
    }

    private Flow Execute(Statement statement)
    {
        switch (statement)
        {
            case DataStatement data:
                _output.Append(data.Text);
                break;
            case OutputStatement output:
                _output.Append(Printing.ToText(Evaluate(output.Expression)));
                break;
            case IfStatement branch:
                return ExecuteIf(branch);
            case ForStatement loop:
                Loop(loop, Evaluate(loop.Items), _scope, depth: 0);
                break;
            case SetStatement set:
                Assign(set.Target, Evaluate(set.Value));
                break;
            case SetBlockStatement set:
                Assign(set.Target, ApplyFilters(set.Filters, Captured(set.Body)));
                break;
            case MacroStatement macro:
                _scope.Set(macro.Name, new MacroValue(macro.Name, macro.Signature, macro.Body, _scope));
                break;
            case CallStatement call:
                MacroValue caller = new("caller", call.Signature, call.Body, _scope);
                _output.Append(Printing.ToText(EvaluateCall(call.Call, caller)));
                break;
            case FilterStatement filter:
                _output.Append(Printing.ToText(ApplyFilters(filter.Filters, Captured(filter.Body))));
                break;
            case WithStatement with:
                ExecuteWith(with);
                break;
            case ScopeStatement block:
                InScope(new Scope(_scope), () => Execute(block.Body));
                break;
            case ExpressionStatement expression:
                Evaluate(expression.Expression);
                break;
            case BreakStatement:
                return Flow.Break;
            case ContinueStatement:
                return Flow.Continue;
        }

        return Flow.Normal;
    }

    private Flow ExecuteIf(IfStatement statement)
    {
        foreach ((Expression condition, IReadOnlyList<Statement> body) in statement.Branches)
        {
            if (Comparison.IsTrue(Evaluate(condition)))
            {
                return Execute(body);
            }
        }

        return Execute(statement.Else);
    }

    private void ExecuteWith(WithStatement statement)
    {
        Scope scope = new(_scope);
        Value[] values = [.. statement.Variables.Select(variable => Evaluate(variable.Value))];
        InScope(scope, () =>
        {
            for (int i = 0; i < values.Length; i++)
            {
                Assign(statement.Variables[i].Target, values[i]);
            }

            Execute(statement.Body);
        });
    }

    private TextValue Captured(IReadOnlyList<Statement> body)
    {
        MarkedText text = MarkedText.Empty;
        InScope(new Scope(_scope), () => text = Capture(body));
        return new TextValue(text);
    }

    private Value ApplyFilters(IReadOnlyList<FilterExpression> filters, Value value)
    {
        foreach (FilterExpression filter in filters)
        {
            value = Filter(filter.Name, value, Evaluate(filter.Arguments));
        }

        return value;
    }

    private void Loop(ForStatement statement, Value source, Scope scope, int depth)
    {
        IReadOnlyList<Value> items = Sequences.Items(source, Budget);
        if (statement.Filter is not null)
        {
            items = [.. items.Where(item => IsWanted(statement, item, scope))];
        }

        if (items.Count == 0)
        {
            InScope(new Scope(scope), () => Execute(statement.Else));
            return;
        }

        LoopValue loop = new(statement, items, scope, depth);
        Scope outer = _scope;
        for (int i = 0; i < items.Count; i++)
        {
            Budget.Step();
            loop.Index = i;
            _scope = new Scope(scope);
            _scope.Set("loop", loop);
            Assign(statement.Target, items[i]);
            if (Execute(statement.Body) == Flow.Break)
            {
                break;
            }
        }

        _scope = outer;
    }

    private bool IsWanted(ForStatement statement, Value item, Scope scope)
    {
        bool wanted = false;
        InScope(new Scope(scope), () =>
        {
            Assign(statement.Target, item);
            wanted = Comparison.IsTrue(Evaluate(statement.Filter!));
        });
        return wanted;
    }

    private void Assign(AssignmentTarget target, Value value)
    {
        if (target.Parts.Count > 0)
        {
            IReadOnlyList<Value> items = Sequences.Items(value, Budget);
            if (items.Count != target.Parts.Count)
            {
                throw new TemplateException($"cannot unpack {items.Count} values into {target.Parts.Count} names");
            }

            for (int i = 0; i < items.Count; i++)
            {
                Assign(target.Parts[i], items[i]);
            }
        }
        else if (target.Attribute is null)
        {
            _scope.Set(target.Name, value);
        }
        else if (_scope.Find(target.Name) is NamespaceValue space)
        {
            space.Attributes[target.Attribute] = value;
        }
        else
        {
            throw new TemplateException($"cannot assign attribute '{target.Attribute}': '{target.Name}' is not a namespace");
        }
    }
}
