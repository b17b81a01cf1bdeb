using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>Methods of dictionaries and lists; those that would change them are refused, as in an immutable sandbox.</summary>
internal static class ContainerMethods
{
    private static readonly HashSet<string> Mutators =
    [
        "append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", "update", "setdefault", "popitem",
    ];

    public static Value? Find(DictValue self, string name) => name switch
    {
        "get" => new FunctionValue(name, (_, arguments) => Get(self, arguments)),
        "items" => Listed(name, () => self.Items.Select(item => (Value)ListValue.Tuple(item.Key, item.Value))),
        "keys" => Listed(name, () => self.Items.Select(item => item.Key)),
        "values" => Listed(name, () => self.Items.Select(item => item.Value)),
        "copy" => new FunctionValue(name, (_, _) => self),
        "clear" or "pop" or "popitem" or "setdefault" or "update" => Refused("dict", name),
        _ => null,
    };

    public static Value? Find(ListValue self, string name) => name switch
    {
        "count" => new FunctionValue(name, (evaluator, arguments) =>
            new IntValue(Places(self, arguments.Bind(name, 1, "value")[0]!, evaluator.Budget).Count())),
        "index" => new FunctionValue(name, (evaluator, arguments) =>
            new IntValue(Places(self, arguments.Bind(name, 1, "value")[0]!, evaluator.Budget).Cast<int?>().FirstOrDefault()
                ?? throw new TemplateException("the value is not in the list"))),
        "copy" when !self.IsTuple => new FunctionValue(name, (_, _) => self),
        _ when Mutators.Contains(name) && !self.IsTuple => Refused("list", name),
        _ => null,
    };

    private static Value Get(DictValue self, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("get", 1, "key", "default");
        return self.Find(bound[0]!) ?? bound[1] ?? NoneValue.Instance;
    }

    private static FunctionValue Listed(string name, Func<IEnumerable<Value>> items) => new(name, (evaluator, arguments) =>
    {
        arguments.Bind(name);
        Value[] list = [.. items()];
        evaluator.Budget.Step(list.Length);
        return new ListValue(list, SequenceKind.View);
    });

    private static IEnumerable<int> Places(ListValue self, Value value, Budget budget)
    {
        for (int i = 0; i < self.Items.Count; i++)
        {
            budget.Step();
            if (Comparison.AreEqual(self.Items[i], value, budget))
            {
                yield return i;
            }
        }
    }

    private static UndefinedValue Refused(string type, string name) => new($"'{name}' would change a {type}, which a template may not do");
}
