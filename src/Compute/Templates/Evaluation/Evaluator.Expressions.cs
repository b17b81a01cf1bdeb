using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Syntax;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

internal sealed partial class Evaluator
{
    private Value Evaluate(Expression expression)
    {
        Budget.Enter();
        Value value = expression switch
        {
            ConstantExpression constant => constant.Value,
            NameExpression name => _scope.Find(name.Name) ?? new UndefinedValue($"'{name.Name}' is undefined"),
            AttributeExpression attribute => Attributes.Get(Evaluate(attribute.Target), attribute.Name),
            ItemExpression { Index: SliceExpression slice } item => Slice(Evaluate(item.Target), slice),
            ItemExpression item => Attributes.Item(Evaluate(item.Target), Evaluate(item.Index), Budget),
            CallExpression call => EvaluateCall(call, caller: null),
            FilterExpression filter => Filter(filter.Name, Evaluate(filter.Target), Evaluate(filter.Arguments)),
            TestExpression test => BoolValue.Of(Test(test.Name, Evaluate(test.Target), Evaluate(test.Arguments)) != test.IsNegated),
            BinaryExpression binary => Operators.Apply(binary.Operator, Evaluate(binary.Left), Evaluate(binary.Right), Budget),
            UnaryExpression unary => Unary(unary.Operator, Evaluate(unary.Operand)),
            LogicalExpression logical => Logical(logical),
            ComparisonExpression comparison => BoolValue.Of(Compare(comparison)),
            ConditionalExpression conditional => Conditional(conditional),
            ConcatExpression concat => Concat(concat.Parts),
            ListExpression list => new ListValue([.. list.Items.Select(Evaluate)], list.IsTuple),
            DictExpression dict => new DictValue([.. dict.Items.Select(item => KeyValuePair.Create(Evaluate(item.Key), Evaluate(item.Value)))]),
            _ => throw new TemplateException($"unexpected {expression.GetType().Name}"),
        };
        Budget.Leave();
        return value;
    }

    private Value Slice(Value target, SliceExpression slice) => Sequences.Slice(target, Bound(slice.Start), Bound(slice.Stop), Bound(slice.Step), Budget);

    private long? Bound(Expression? expression)
    {
        Value bound = expression is null ? NoneValue.Instance : Evaluate(expression);
        return bound is NoneValue ? null
            : Numbers.TryToLong(bound, out long number) ? number
            : throw new TemplateException(Comparison.Missing(bound) ?? $"slice indices must be integers, found {bound.TypeName}");
    }

    private static Value Unary(string op, Value operand) => op switch
    {
        "not" => BoolValue.Of(!Comparison.IsTrue(operand)),
        _ when operand is UndefinedValue undefined => throw new TemplateException(undefined.Reason),
        _ when !Numbers.IsNumber(operand) => throw new TemplateException($"bad operand type for unary {op}: {operand.TypeName}"),
        _ => Numbers.Calculate(op, new IntValue(0), operand),
    };

    private Value Logical(LogicalExpression expression)
    {
        Value left = Evaluate(expression.Left);
        return Comparison.IsTrue(left) == expression.IsAnd ? Evaluate(expression.Right) : left;
    }

    private bool Compare(ComparisonExpression expression)
    {
        Value left = Evaluate(expression.First);
        foreach ((string op, Expression operand) in expression.Rest)
        {
            Value right = Evaluate(operand);
            bool holds = op switch
            {
                "==" => Comparison.AreEqual(left, right, Budget),
                "!=" => !Comparison.AreEqual(left, right, Budget),
                "in" => Comparison.Contains(right, left, Budget),
                "not in" => !Comparison.Contains(right, left, Budget),
                "<" => Comparison.Compare(left, right, Budget) < 0,
                "<=" => Comparison.Compare(left, right, Budget) <= 0,
                ">" => Comparison.Compare(left, right, Budget) > 0,
                _ => Comparison.Compare(left, right, Budget) >= 0,
            };
            if (!holds)
            {
                return false;
            }

            left = right;
        }

        return true;
    }

    private Value Conditional(ConditionalExpression expression) =>
        Comparison.IsTrue(Evaluate(expression.Condition)) ? Evaluate(expression.Then)
        : expression.Else is not null ? Evaluate(expression.Else)
        : new UndefinedValue("the inline if-expression has no else and its condition is false");

    private TextValue Concat(IReadOnlyList<Expression> parts)
    {
        var texts = new MarkedText[parts.Count];
        long length = 0;
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = Printing.ToText(Evaluate(parts[i]));
            length += texts[i].Length;
        }

        Budget.Write(length);
        return new TextValue(MarkedText.Concat(texts));
    }

    private Arguments Evaluate(CallArguments arguments)
    {
        if (ReferenceEquals(arguments, CallArguments.None))
        {
            return Arguments.None;
        }

        List<Value> positional = [.. arguments.Positional.Select(Evaluate)];
        List<KeyValuePair<string, Value>> keywords = [.. arguments.Keywords.Select(keyword => KeyValuePair.Create(keyword.Name, Evaluate(keyword.Value)))];
        if (arguments.Spread is not null)
        {
            positional.AddRange(Sequences.Items(Evaluate(arguments.Spread), Budget));
        }

        if (arguments.SpreadKeywords is not null)
        {
            if (Evaluate(arguments.SpreadKeywords) is not DictValue dict)
            {
                throw new TemplateException("what stands behind ** must be a dict");
            }

            Budget.Step(dict.Items.Count);
            keywords.AddRange(dict.Items.Select(item => KeyValuePair.Create(Printing.ToText(item.Key).Value, item.Value)));
        }

        return new Arguments(positional, keywords);
    }
}
