using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

internal static partial class Filters
{
    private static GeneratorValue Items(Evaluator evaluator, Value value, Arguments arguments) => value switch
    {
        UndefinedValue => new GeneratorValue([]),
        DictValue dict => new GeneratorValue([.. dict.Items.Select(item => ListValue.Tuple(item.Key, item.Value))]),
        _ => throw new TemplateException($"items needs a mapping, found {value.TypeName}"),
    };

    private static Value Reverse(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value[] items = [.. Sequences.Items(value, evaluator.Budget).Reverse()];
        return value is TextValue ? StringMethods.Join(MarkedText.Empty, items, evaluator.Budget) : new GeneratorValue(items);
    }

    private static Value Sum(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("sum", "attribute", "start");
        Value sum = bound[1] ?? new IntValue(0);
        foreach (Value item in Sequences.Items(value, evaluator.Budget))
        {
            sum = Operators.Apply("+", sum, bound[0] is null or NoneValue ? item : Path(item, bound[0]!, evaluator.Budget), evaluator.Budget);
        }

        return sum;
    }

    private static Value Extreme(Evaluator evaluator, Value value, Arguments arguments, string name, int sign)
    {
        Value?[] bound = arguments.Bind(name, "case_sensitive", "attribute");
        bool caseSensitive = bound[0] is not null && Comparison.IsTrue(bound[0]!);
        Value? best = null, bestKey = null;
        foreach (Value item in Sequences.Items(value, evaluator.Budget))
        {
            Value key = SortKey(item, bound[1], caseSensitive, evaluator.Budget);
            if (bestKey is null || Comparison.Compare(key, bestKey, evaluator.Budget) * sign > 0)
            {
                (best, bestKey) = (item, key);
            }
        }

        return best ?? new UndefinedValue("No aggregated item, sequence was empty.");
    }

    private static ListValue Sort(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("sort", "reverse", "case_sensitive", "attribute");
        bool caseSensitive = bound[1] is not null && Comparison.IsTrue(bound[1]!);
        bool reverse = bound[0] is not null && Comparison.IsTrue(bound[0]!);

        // several attributes, with commas between them, sort by the first, then the next
        Value[] attributes = bound[2] is TextValue names ? [.. names.Value.Split(',').Select(TextValue.Of)] : bound[2] is null or NoneValue ? [] : [bound[2]!];
        IEnumerable<(Value Item, Value Key)> keyed = Sequences.Items(value, evaluator.Budget).Select(item => (item, attributes.Length == 0
            ? SortKey(item, null, caseSensitive, evaluator.Budget)
            : new ListValue([.. attributes.Select(attribute => SortKey(item, attribute, caseSensitive, evaluator.Budget))])));
        return new ListValue([.. Ordered(keyed, reverse, evaluator.Budget)]);
    }

    private static ListValue DictSort(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("dictsort", "case_sensitive", "by", "reverse");
        if (value is not DictValue dict)
        {
            throw new TemplateException(Comparison.Missing(value) ?? $"dictsort needs a dict, found {value.TypeName}");
        }

        bool caseSensitive = bound[0] is not null && Comparison.IsTrue(bound[0]!);
        string by = bound[1] is null ? "key" : Printing.ToText(bound[1]!).Value;
        bool reverse = bound[2] is not null && Comparison.IsTrue(bound[2]!);
        if (by is not ("key" or "value"))
        {
            throw new TemplateException("dictsort goes by 'key' or 'value'");
        }

        evaluator.Budget.Step(dict.Items.Count);
        return new ListValue([.. Ordered(dict.Items.Select(item =>
            ((Value)ListValue.Tuple(item.Key, item.Value), SortKey(by == "key" ? item.Key : item.Value, null, caseSensitive, evaluator.Budget))), reverse, evaluator.Budget)]);
    }

    private static IEnumerable<Value> Ordered(IEnumerable<(Value Item, Value Key)> keyed, bool reverse, Budget budget)
    {
        Comparer<Value> order = Comparer<Value>.Create((a, b) => reverse ? Comparison.Compare(b, a, budget) : Comparison.Compare(a, b, budget));
        try
        {
            return [.. keyed.OrderBy(pair => pair.Key, order).Select(pair => pair.Item)];
        }
        catch (InvalidOperationException exception) when (exception.InnerException is TemplateException inner)
        {
            throw inner;
        }
    }

    private static GeneratorValue Unique(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("unique", "case_sensitive", "attribute");
        bool caseSensitive = bound[0] is not null && Comparison.IsTrue(bound[0]!);
        HashSet<Value> seen = new(KeyComparer.Instance);
        return new GeneratorValue([.. Sequences.Items(value, evaluator.Budget).Where(item => seen.Add(SortKey(item, bound[1], caseSensitive, evaluator.Budget)))]);
    }

    private static ListValue GroupBy(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        List<(Value Key, List<Value> Items)> groups = [];
        bool caseSensitive = bound[2] is not null && Comparison.IsTrue(bound[2]!);
        IEnumerable<(Value, Value)> keyed = Sequences.Items(value, evaluator.Budget).Select(item => (item, Fold(Key(item), caseSensitive)));
        foreach (Value item in Ordered(keyed, reverse: false, evaluator.Budget))
        {
            if (groups.Count == 0 || !Comparison.AreEqual(Fold(groups[^1].Key, caseSensitive), Fold(Key(item), caseSensitive), evaluator.Budget))
            {
                groups.Add((Key(item), []));
            }

            groups[^1].Items.Add(item);
        }

        return new ListValue([.. groups.Select(group => ListValue.Tuple(group.Key, new ListValue(group.Items)))]);

        Value Key(Value item) => OrDefault(Path(item, bound[0]!, evaluator.Budget), bound[1]);
    }

    private static GeneratorValue Batch(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("batch", 1, "linecount", "fill_with");
        int size = (int)Math.Clamp(Integer(bound[0]!, "batch"), 1, TemplateLimits.RangeLength);
        List<Value> rows = [];
        foreach (Value[] row in Sequences.Items(value, evaluator.Budget).Chunk(size))
        {
            int missing = bound[1] is null or NoneValue ? 0 : size - row.Length;
            evaluator.Budget.Step(missing);
            rows.Add(new ListValue([.. row, .. Enumerable.Repeat(bound[1]!, missing)]));
        }

        return new GeneratorValue(rows);
    }

    private static GeneratorValue Slices(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("slice", 1, "slices", "fill_with");
        IReadOnlyList<Value> items = Sequences.Items(value, evaluator.Budget);
        int count = (int)Math.Clamp(Integer(bound[0]!, "slice"), 1, TemplateLimits.RangeLength);
        evaluator.Budget.Step(count);
        int each = items.Count / count, longer = items.Count % count, start = 0;
        List<Value> columns = [];
        for (int i = 0; i < count; i++)
        {
            int length = each + (i < longer ? 1 : 0);
            bool fill = bound[1] is not null and not NoneValue && longer > 0 && i >= longer;
            columns.Add(new ListValue([.. items.Skip(start).Take(length), .. fill ? [bound[1]!] : Array.Empty<Value>()]));
            start += length;
        }

        return new GeneratorValue(columns);
    }

    private static GeneratorValue MapItems(Evaluator evaluator, Value value, Arguments arguments)
    {
        IReadOnlyList<Value> items = ItemsIfAny(evaluator, value);
        if (arguments.Positional.Count == 0)
        {
            Value?[] bound = arguments.Bind("map", "attribute", "default");
            Value path = bound[0] ?? throw new TemplateException("map needs a filter or an attribute");
            return new GeneratorValue([.. items.Select(item => OrDefault(Path(item, path, evaluator.Budget), bound[1]))]);
        }

        string name = Printing.ToText(arguments.Positional[0]).Value;
        Arguments rest = new([.. arguments.Positional.Skip(1)], arguments.Keywords);
        return new GeneratorValue([.. items.Select(item => evaluator.Filter(name, item, rest))]);
    }

    private static GeneratorValue Select(Evaluator evaluator, Value value, Arguments arguments, bool wanted)
    {
        Func<Value, bool> test = Condition(evaluator, arguments, 0);
        return new GeneratorValue([.. ItemsIfAny(evaluator, value).Where(item => test(item) == wanted)]);
    }

    private static GeneratorValue SelectByAttribute(Evaluator evaluator, Value value, Arguments arguments, bool wanted)
    {
        Value path = arguments.Positional is [var first, ..] ? first : throw new TemplateException("selectattr needs an attribute");
        Func<Value, bool> test = Condition(evaluator, arguments, 1);
        return new GeneratorValue([.. ItemsIfAny(evaluator, value).Where(item => test(Path(item, path, evaluator.Budget)) == wanted)]);
    }

    /// <summary>These filters take anything false, none too, as empty.</summary>
    private static IReadOnlyList<Value> ItemsIfAny(Evaluator evaluator, Value value) =>
        Comparison.IsTrue(value) ? Sequences.Items(value, evaluator.Budget) : [];

    private static Func<Value, bool> Condition(Evaluator evaluator, Arguments arguments, int at)
    {
        if (arguments.Positional.Count <= at)
        {
            return Comparison.IsTrue;
        }

        string name = Printing.ToText(arguments.Positional[at]).Value;
        Arguments rest = new([.. arguments.Positional.Skip(at + 1)], arguments.Keywords);
        return item => evaluator.Test(name, item, rest);
    }

    /// <summary>Follows <c>a.b.0</c>; a missing part gives undefined.</summary>
    private static Value Path(Value value, Value path, Budget budget)
    {
        if (path is not TextValue text)
        {
            return Attributes.Item(value, path, budget);
        }

        foreach (string part in text.Value.Split('.'))
        {
            budget.Step();
            Value key = long.TryParse(part, out long index) ? new IntValue(index) : TextValue.Of(part);
            value = Attributes.Item(value, key, budget);
        }

        return value;
    }

    private static Value OrDefault(Value value, Value? otherwise) => value is UndefinedValue ? otherwise ?? value : value;

    private static Value SortKey(Value item, Value? attribute, bool caseSensitive, Budget budget) =>
        Fold(attribute is null or NoneValue ? item : Path(item, attribute, budget), caseSensitive);

    private static Value Fold(Value value, bool caseSensitive) => value is TextValue text && !caseSensitive ? TextValue.Of(text.Value.ToLowerInvariant()) : value;
}
