using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>Iteration, indexing and slicing as Python does them.</summary>
internal static class Sequences
{
    /// <summary>What iterating over a value yields: items, characters or keys.</summary>
    public static IReadOnlyList<Value> Items(Value value, Budget budget)
    {
        IReadOnlyList<Value> items;
        switch (value)
        {
            case ListValue list:
                items = list.Items;
                break;
            case DictValue dict:
                items = [.. dict.Items.Select(item => item.Key)];
                break;
            case GeneratorValue generator:
                items = generator.TakeAll();
                break;
            case TextValue text:
                budget.Step(text.Text.Length);
                return CodePoints.Split(text.Text);
            case UndefinedValue:
                return [];
            default:
                throw new TemplateException($"'{value.TypeName}' object is not iterable");
        }

        budget.Step(items.Count);
        return items;
    }

    public static int Count(Value value) => value switch
    {
        TextValue text => CodePoints.Count(text.Value),
        ListValue list => list.Items.Count,
        DictValue dict => dict.Items.Count,
        UndefinedValue => 0,
        LoopValue loop => loop.Items.Count,
        _ => throw new TemplateException($"object of type '{value.TypeName}' has no len()"),
    };

    public static Value? At(IReadOnlyList<Value> items, long index)
    {
        index += index < 0 ? items.Count : 0;
        return index >= 0 && index < items.Count ? items[(int)index] : null;
    }

    public static Value? At(MarkedText text, long index)
    {
        int count = CodePoints.Count(text.Value);
        index += index < 0 ? count : 0;
        if (index < 0 || index >= count)
        {
            return null;
        }

        int start = CodePoints.Offset(text.Value, (int)index);
        return new TextValue(text.Slice(start, CodePoints.Offset(text.Value, (int)index + 1) - start));
    }

    public static Value Slice(Value value, long? start, long? stop, long? step, Budget budget)
    {
        long by = step ?? 1;
        if (by == 0)
        {
            throw new TemplateException("slice step cannot be zero");
        }

        switch (value)
        {
            case TextValue text:
                int count = CodePoints.Count(text.Value);
                budget.Read(text.Text.Length);
                if (by == 1)
                {
                    (long from, long to) = Bounds(start, stop, by, count);
                    int offset = CodePoints.Offset(text.Value, (int)from);
                    return new TextValue(text.Text.Slice(offset, CodePoints.Offset(text.Value, (int)Math.Max(from, to)) - offset));
                }

                MarkedTextBuilder builder = new();
                foreach (Value part in Pick(Items(text, budget), start, stop, by))
                {
                    builder.Append(((TextValue)part).Text);
                }

                return new TextValue(builder.ToMarkedText());
            case ListValue list:
                Value[] picked = [.. Pick(list.Items, start, stop, by)];
                budget.Step(picked.Length);
                return new ListValue(picked, list.IsTuple);
            case UndefinedValue undefined:
                throw new TemplateException(undefined.Reason);
            default:
                // as Jinja2: what cannot be sliced has no such item
                return new UndefinedValue($"'{value.TypeName} object' cannot be sliced");
        }
    }

    private static IEnumerable<Value> Pick(IReadOnlyList<Value> items, long? start, long? stop, long step)
    {
        (long from, long to) = Bounds(start, stop, step, items.Count);
        for (long i = from; step > 0 ? i < to : i > to; i += step)
        {
            yield return items[(int)i];
            if (step > items.Count || step < -items.Count)
            {
                yield break;
            }
        }
    }

    private static (long From, long To) Bounds(long? start, long? stop, long step, int count)
    {
        long lowest = step > 0 ? 0 : -1, highest = step > 0 ? count : count - 1;
        long from = start is null ? (step > 0 ? lowest : highest) : Clamp(start.Value);
        long to = stop is null ? (step > 0 ? highest : lowest) : Clamp(stop.Value);
        return (from, to);

        long Clamp(long bound) => Math.Clamp(bound < 0 ? bound + count : bound, lowest, highest);
    }
}
