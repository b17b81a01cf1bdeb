using System.Text;
using Lamina.Compute.Templates.Library;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Evaluation;

/// <summary>Arithmetic and its meanings for text and lists.</summary>
internal static class Operators
{
    public static Value Apply(string op, Value left, Value right, Budget budget)
    {
        if ((Comparison.Missing(left) ?? Comparison.Missing(right)) is { } missing && !(op == "%" && left is TextValue))
        {
            throw new TemplateException(missing);
        }

        switch (op, left, right)
        {
            case ("+", TextValue a, TextValue b) when a.IsEscaped || b.IsEscaped:
                budget.Write(6L * ((long)a.Text.Length + b.Text.Length));
                return new TextValue(new MarkedTextBuilder().Append(Markup.Escape(a).Text).Append(Markup.Escape(b).Text).ToMarkedText(), isEscaped: true);
            case ("+", TextValue a, TextValue b):
                budget.Write((long)a.Text.Length + b.Text.Length);
                return new TextValue(MarkedText.Concat(a.Text, b.Text));
            case ("+", ListValue a, ListValue b) when a.IsTuple == b.IsTuple:
                budget.Step(a.Items.Count + b.Items.Count);
                return new ListValue([.. a.Items, .. b.Items], a.IsTuple);
            case ("*", TextValue text, _) when Numbers.TryToLong(right, out long times):
                return Repeat(text, times, budget);
            case ("*", _, TextValue text) when Numbers.TryToLong(left, out long times):
                return Repeat(text, times, budget);
            case ("*", ListValue list, _) when Numbers.TryToLong(right, out long times):
                return Repeat(list, times, budget);
            case ("*", _, ListValue list) when Numbers.TryToLong(left, out long times):
                return Repeat(list, times, budget);
            case ("%", TextValue format, _):
                return PercentFormat.Apply(format, right is ListValue { IsTuple: true } tuple ? tuple.Items : [right], budget);
            default:
                return Numbers.Calculate(op, left, right);
        }
    }

    private static TextValue Repeat(TextValue text, long times, Budget budget)
    {
        times = Math.Max(times, 0);
        budget.Write(times > TemplateLimits.TextLength ? long.MaxValue / 8 : times * text.Text.Length);
        if (text.Text.Length == 0 || text.Text.IsTrusted || text.Text.Trusted.IsEmpty)
        {
            return new TextValue(text.Text.Derive(new StringBuilder().Insert(0, text.Value, (int)times).ToString()));
        }

        MarkedTextBuilder builder = new();
        for (long i = 0; i < times; i++)
        {
            builder.Append(text.Text);
        }

        return new TextValue(builder.ToMarkedText());
    }

    private static ListValue Repeat(ListValue list, long times, Budget budget)
    {
        times = list.Items.Count == 0 ? 0 : Math.Max(times, 0);
        if (times > TemplateLimits.ListLength || times * list.Items.Count > TemplateLimits.ListLength)
        {
            throw new TemplateException($"a list would have more than {TemplateLimits.ListLength} items");
        }

        budget.Step((int)times * list.Items.Count);
        return new ListValue([.. Enumerable.Range(0, (int)times).SelectMany(_ => list.Items)], list.IsTuple);
    }
}
