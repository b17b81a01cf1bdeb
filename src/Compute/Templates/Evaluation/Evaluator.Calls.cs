using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Syntax;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

internal sealed partial class Evaluator
{
    /// <summary>Applies a filter by name; also what <c>map('name')</c> and the like use.</summary>
    public Value Filter(string name, Value target, Arguments arguments)
    {
        Func<Evaluator, Value, Arguments, Value> filter = Filters.Find(name) ?? throw new TemplateException($"no filter named '{name}'");
        return Account(target, () => filter(this, target, arguments));
    }

    /// <summary>Applies a test by name; also what <c>select('name')</c> and the like use.</summary>
    public bool Test(string name, Value target, Arguments arguments)
    {
        Func<Evaluator, Value, Arguments, bool> test = Tests.Find(name) ?? throw new TemplateException($"no test named '{name}'");
        Budget.Step();
        return test(this, target, arguments);
    }

    public Value Call(Value target, Arguments arguments, MacroValue? caller = null)
    {
        Budget.Enter();
        Value result = target switch
        {
            FunctionValue function => Account(null, () => function.Invoke(this, arguments)),
            MacroValue macro => new TextValue(CallMacro(macro, arguments, caller)),
            LoopValue loop => CallLoop(loop, arguments),
            UndefinedValue undefined => throw new TemplateException(undefined.Reason),
            _ => throw new TemplateException($"a {target.TypeName} cannot be called"),
        };
        Budget.Leave();
        return result;
    }

    private Value EvaluateCall(CallExpression call, MacroValue? caller)
    {
        Value target = Evaluate(call.Target);
        return Call(target, Evaluate(call.Arguments), caller);
    }

    private Value Account(Value? target, Func<Value> operation)
    {
        Budget.Step();
        if (target is TextValue text)
        {
            Budget.Read(text.Text.Length);
        }

        Value result = operation();
        if (result is TextValue made && !ReferenceEquals(made, target))
        {
            Budget.Write(made.Text.Length);
        }

        return result;
    }

    private MarkedText CallMacro(MacroValue macro, Arguments arguments, MacroValue? caller)
    {
        Scope scope = new(macro.Scope);
        MarkedText text = MarkedText.Empty;
        InScope(scope, () =>
        {
            BindParameters(macro, scope, arguments, caller);
            text = Capture(macro.Body);
        });
        return text;
    }

    private void BindParameters(MacroValue macro, Scope scope, Arguments arguments, MacroValue? caller)
    {
        MacroSignature signature = macro.Signature;
        List<KeyValuePair<string, Value>> keywords = [.. arguments.Keywords];
        for (int i = 0; i < signature.Parameters.Count; i++)
        {
            (string name, Expression? defaultValue) = signature.Parameters[i];
            int keyword = keywords.FindIndex(pair => pair.Key == name);
            if (i < arguments.Positional.Count)
            {
                scope.Set(name, keyword < 0 ? arguments.Positional[i] : throw new TemplateException($"macro {macro.Name} got the argument '{name}' twice"));
            }
            else if (keyword >= 0)
            {
                scope.Set(name, keywords[keyword].Value);
                keywords.RemoveAt(keyword);
            }
            else
            {
                scope.Set(name, defaultValue is null ? new UndefinedValue($"parameter '{name}' was not provided") : Evaluate(defaultValue));
            }
        }

        BindRest(macro, scope, arguments, keywords, caller);
    }

    private static void BindRest(MacroValue macro, Scope scope, Arguments arguments, List<KeyValuePair<string, Value>> keywords, MacroValue? caller)
    {
        MacroSignature signature = macro.Signature;
        int passed = keywords.FindIndex(pair => pair.Key == "caller");
        if (signature.UsesCaller && passed >= 0)
        {
            scope.Set("caller", keywords[passed].Value);
            keywords.RemoveAt(passed);
        }
        else if (signature.UsesCaller)
        {
            scope.Set("caller", caller as Value ?? new UndefinedValue("No caller defined"));
        }
        else if (caller is not null)
        {
            throw new TemplateException($"macro {macro.Name} was called with a block that it does not use");
        }

        if (signature.UsesVarargs)
        {
            scope.Set("varargs", new ListValue([.. arguments.Positional.Skip(signature.Parameters.Count)], isTuple: true));
        }
        else if (arguments.Positional.Count > signature.Parameters.Count)
        {
            throw new TemplateException($"macro {macro.Name} takes not more than {signature.Parameters.Count} arguments");
        }

        if (signature.UsesKwargs)
        {
            scope.Set("kwargs", new DictValue([.. keywords.Select(pair => KeyValuePair.Create<Value, Value>(TextValue.Of(pair.Key), pair.Value))]));
        }
        else if (keywords.Count > 0)
        {
            throw new TemplateException($"macro {macro.Name} takes no keyword argument '{keywords[0].Key}'");
        }
    }

    private TextValue CallLoop(LoopValue loop, Arguments arguments)
    {
        if (!loop.Statement.IsRecursive)
        {
            throw new TemplateException("the loop is not marked as recursive");
        }

        Value?[] bound = arguments.Bind("loop", 1, "items");
        MarkedTextBuilder outer = _output;
        _output = new MarkedTextBuilder();
        Loop(loop.Statement, bound[0]!, loop.Scope, loop.Depth + 1);
        MarkedText text = _output.ToMarkedText();
        _output = outer;
        Budget.Write(text.Length);
        return new TextValue(text);
    }
}
