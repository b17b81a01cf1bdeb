using Lamina.Compute.Templates.Evaluation;

namespace Lamina.Compute.Templates.Values;

/// <summary>Python's truth, equality, order and membership.</summary>
internal static class Comparison
{
    public static bool IsTrue(Value value) => value switch
    {
        UndefinedValue or NoneValue => false,
        BoolValue flag => flag.Value,
        IntValue number => number.Value != 0,
        FloatValue number => number.Value != 0,
        TextValue text => text.Text.Length > 0,
        ListValue list => list.Items.Count > 0,
        DictValue dict => dict.Items.Count > 0,
        _ => true,
    };

    public static bool AreEqual(Value left, Value right, Budget budget)
    {
        switch (left, right)
        {
            case (TextValue a, TextValue b):
                budget.Read(a.Text.Length);
                return a.Value == b.Value;
            case (IntValue a, IntValue b):
                return a.Value == b.Value;
            case (UndefinedValue, UndefinedValue):
                return true;
            case (ListValue or DictValue, _) when left.GetType() == right.GetType():
                budget.Enter(TemplateLimits.ValueDepth);
                bool equal = left is ListValue list ? AreEqual(list, (ListValue)right, budget) : AreEqual((DictValue)left, (DictValue)right, budget);
                budget.Leave();
                return equal;
            default:
                return Numbers.IsNumber(left) && Numbers.IsNumber(right)
                    ? Numbers.ToDouble(left) == Numbers.ToDouble(right)
                    : ReferenceEquals(left, right);
        }
    }

    private static bool AreEqual(ListValue left, ListValue right, Budget budget)
    {
        bool equal = left.Kind == right.Kind && left.Items.Count == right.Items.Count;
        for (int i = 0; equal && i < left.Items.Count; i++)
        {
            budget.Step();
            equal = AreEqual(left.Items[i], right.Items[i], budget);
        }

        return equal;
    }

    private static bool AreEqual(DictValue left, DictValue right, Budget budget)
    {
        if (left.Items.Count != right.Items.Count)
        {
            return false;
        }

        foreach ((Value key, Value value) in left.Items)
        {
            budget.Step();
            if (right.Find(key) is not { } other || !AreEqual(value, other, budget))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Negative, zero or positive; throws where Python does, for values without an order.</summary>
    public static int Compare(Value left, Value right, Budget budget)
    {
        budget.Step();
        switch (left, right)
        {
            case (TextValue a, TextValue b):
                budget.Read(Math.Min(a.Text.Length, b.Text.Length));
                return CompareText(a.Value, b.Value);
            case (IntValue a, IntValue b):
                return a.Value.CompareTo(b.Value);
            case (ListValue a, ListValue b) when a.Kind == b.Kind:
                int common = Math.Min(a.Items.Count, b.Items.Count);
                for (int i = 0; i < common; i++)
                {
                    if (!AreEqual(a.Items[i], b.Items[i], budget))
                    {
                        budget.Enter(TemplateLimits.ValueDepth);
                        int order = Compare(a.Items[i], b.Items[i], budget);
                        budget.Leave();
                        return order;
                    }
                }

                return a.Items.Count.CompareTo(b.Items.Count);
            default:
                return Numbers.IsNumber(left) && Numbers.IsNumber(right)
                    ? Numbers.ToDouble(left).CompareTo(Numbers.ToDouble(right))
                    : throw new TemplateException(Missing(left) ?? Missing(right) ?? $"{left.TypeName} and {right.TypeName} have no order");
        }
    }

    public static bool Contains(Value container, Value item, Budget budget)
    {
        switch (container)
        {
            case TextValue text when item is TextValue part:
                budget.Read(text.Text.Length);
                return text.Value.Contains(part.Value, StringComparison.Ordinal);
            case ListValue list:
                foreach (Value candidate in list.Items)
                {
                    budget.Step();
                    if (AreEqual(candidate, item, budget))
                    {
                        return true;
                    }
                }

                return false;
            case GeneratorValue generator:
                return Contains(new ListValue(generator.TakeAll()), item, budget);
            case DictValue dict:
                return dict.Find(item) is not null;
            case UndefinedValue:
                return false;
            default:
                throw new TemplateException($"'in' needs a container, found {item.TypeName} in {container.TypeName}");
        }
    }

    public static string? Missing(Value value) => (value as UndefinedValue)?.Reason;

    /// <summary>By code point, as Python does: UTF-16 order differs where surrogates meet U+E000 and above.</summary>
    private static int CompareText(string a, string b)
    {
        int common = Math.Min(a.Length, b.Length);
        for (int i = 0; i < common; i++)
        {
            if (a[i] != b[i])
            {
                return char.IsSurrogate(a[i]) != char.IsSurrogate(b[i]) ? (char.IsSurrogate(a[i]) ? 1 : -1) : a[i].CompareTo(b[i]);
            }
        }

        return a.Length.CompareTo(b.Length);
    }
}
