using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>What may stand behind <c>is</c>.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Func<Evaluator, Value, Arguments, bool>> Named = new()
    {
        ["defined"] = Simple(value => value is not UndefinedValue),
        ["undefined"] = Simple(value => value is UndefinedValue),
        ["none"] = Simple(value => value is NoneValue),
        ["boolean"] = Simple(value => value is BoolValue),
        ["true"] = Simple(value => value is BoolValue { Value: true }),
        ["false"] = Simple(value => value is BoolValue { Value: false }),
        ["integer"] = Simple(value => value is IntValue),
        ["float"] = Simple(value => value is FloatValue),
        ["number"] = Simple(Numbers.IsNumber),
        ["string"] = Simple(value => value is TextValue),
        ["mapping"] = Simple(value => value is DictValue),
        ["sequence"] = Simple(value => value is TextValue or ListValue { Kind: not SequenceKind.View } or DictValue or UndefinedValue),
        ["iterable"] = Simple(value => value is TextValue or ListValue or DictValue or GeneratorValue or UndefinedValue),
        ["callable"] = Simple(value => value is FunctionValue or MacroValue or LoopValue),
        ["escaped"] = Simple(value => value is TextValue { IsEscaped: true }),
        ["odd"] = Simple(value => Integer(value) % 2 != 0),
        ["even"] = Simple(value => Integer(value) % 2 == 0),
        ["lower"] = Simple(value => Cased(value, char.IsLower, char.IsUpper)),
        ["upper"] = Simple(value => Cased(value, char.IsUpper, char.IsLower)),
        ["divisibleby"] = (_, value, arguments) => Divisor(Other(arguments)) is var divisor && divisor != -1 ? Integer(value) % divisor == 0 : true,
        ["eq"] = (evaluator, value, arguments) => Comparison.AreEqual(value, Other(arguments), evaluator.Budget),
        ["ne"] = (evaluator, value, arguments) => !Comparison.AreEqual(value, Other(arguments), evaluator.Budget),
        ["lt"] = (evaluator, value, arguments) => Comparison.Compare(value, Other(arguments), evaluator.Budget) < 0,
        ["le"] = (evaluator, value, arguments) => Comparison.Compare(value, Other(arguments), evaluator.Budget) <= 0,
        ["gt"] = (evaluator, value, arguments) => Comparison.Compare(value, Other(arguments), evaluator.Budget) > 0,
        ["ge"] = (evaluator, value, arguments) => Comparison.Compare(value, Other(arguments), evaluator.Budget) >= 0,
        ["in"] = (evaluator, value, arguments) => Comparison.Contains(Other(arguments), value, evaluator.Budget),
        ["sameas"] = (evaluator, value, arguments) => value.GetType() == Other(arguments).GetType()
            && (value is not (ListValue or DictValue) ? Comparison.AreEqual(value, Other(arguments), evaluator.Budget) : ReferenceEquals(value, Other(arguments))),
        ["filter"] = Simple(value => value is TextValue name && Filters.Find(name.Value) is not null),
        ["test"] = Simple(value => value is TextValue name && Find(name.Value) is not null),
    };

    private static readonly Dictionary<string, string> Aliases = new()
    {
        ["equalto"] = "eq", ["greaterthan"] = "gt", ["lessthan"] = "lt",
        ["=="] = "eq", ["!="] = "ne", ["<"] = "lt", ["<="] = "le", [">"] = "gt", [">="] = "ge",
    };

    public static Func<Evaluator, Value, Arguments, bool>? Find(string name) => Named.GetValueOrDefault(Aliases.GetValueOrDefault(name, name));

    private static Func<Evaluator, Value, Arguments, bool> Simple(Func<Value, bool> test) => (_, value, arguments) =>
    {
        arguments.Bind("test");
        return test(value);
    };

    private static Value Other(Arguments arguments) => arguments.Bind("test", 1, "other")[0]!;

    private static long Integer(Value value) => Numbers.TryToLong(value, out long number) ? number
        : throw new TemplateException(Comparison.Missing(value) ?? $"expected an integer, found {value.TypeName}");

    private static long Divisor(Value value) => Integer(value) is not 0 and long divisor ? divisor : throw new TemplateException("division by zero");

    private static bool Cased(Value value, Func<char, bool> wanted, Func<char, bool> unwanted)
    {
        string text = Printing.ToText(value).Value;
        return text.Any(wanted) && !text.Any(unwanted);
    }
}
