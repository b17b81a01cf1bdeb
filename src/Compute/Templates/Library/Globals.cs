using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>The functions every template finds.</summary>
internal static class Globals
{
    /// <summary>Outermost scope; nothing is set in it after this.</summary>
    public static Scope Scope { get; } = Build();

    private static Scope Build()
    {
        Scope scope = new(null);
        Add("range", Range);
        Add("dict", (_, arguments) => Dict(arguments));
        Add("namespace", (_, arguments) => Namespace(arguments));
        Add("raise_exception", (_, arguments) => throw new TemplateException(MessageOf(Printing.ToText(arguments.Bind("raise_exception", 1, "message")[0]!).Value)));
        Add("strftime_now", StrftimeNow);
        return scope;

        void Add(string name, Func<Evaluator, Arguments, Value> function) => scope.Set(name, new FunctionValue(name, function));
    }

    private static string MessageOf(string text) => text.Length <= TemplateLimits.MessageLength ? text : text[..TemplateLimits.MessageLength] + " ...";

    private static ListValue Range(Evaluator evaluator, Arguments arguments)
    {
        long[] bounds = [.. arguments.Bind("range", 1, "start", "stop", "step").OfType<Value>().Select(value =>
            Numbers.TryToLong(value, out long number) ? number : throw new TemplateException($"range needs integers, found {value.TypeName}"))];
        (long start, long stop) = bounds.Length == 1 ? (0, bounds[0]) : (bounds[0], bounds[1]);
        long step = bounds.Length > 2 ? bounds[2] : 1;
        if (step == 0)
        {
            throw new TemplateException("range step must not be zero");
        }

        Int128 span = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        Int128 size = step > 0 ? step : -(Int128)step;
        Int128 count = span <= 0 ? 0 : (span + size - 1) / size;
        if (count > TemplateLimits.RangeLength)
        {
            throw new TemplateException($"a range of {count} items is longer than {TemplateLimits.RangeLength}");
        }

        evaluator.Budget.Step((int)count);
        Value[] items = new Value[(int)count];
        for (int i = 0; i < items.Length; i++)
        {
            items[i] = new IntValue(start + i * step);
        }

        return new ListValue(items, SequenceKind.Range);
    }

    private static DictValue Dict(Arguments arguments)
    {
        IEnumerable<KeyValuePair<Value, Value>> first = arguments.Positional switch
        {
            [] => [],
            [DictValue dict] => dict.Items,
            [ListValue list] => list.Items.Select(item => item is ListValue { Items: [var key, var value] }
                ? KeyValuePair.Create(key, value)
                : throw new TemplateException("dict needs pairs")),
            _ => throw new TemplateException("dict takes one dict or list of pairs"),
        };
        return new DictValue(first.Concat(arguments.Keywords.Select(pair => KeyValuePair.Create<Value, Value>(TextValue.Of(pair.Key), pair.Value))));
    }

    private static NamespaceValue Namespace(Arguments arguments)
    {
        NamespaceValue space = new();
        foreach ((Value key, Value value) in Dict(arguments).Items)
        {
            space.Attributes[Printing.ToText(key).Value] = value;
        }

        return space;
    }

    private static TextValue StrftimeNow(Evaluator evaluator, Arguments arguments)
    {
        string format = Printing.ToText(arguments.Bind("strftime_now", 1, "format")[0]!).Value;
        DateTime now = evaluator.Now ?? throw new TemplateException("the time is not known here");
        return TextValue.Of(Strftime.Format(now, format));
    }
}
