using System.Text;
using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

internal static partial class Filters
{
    private static TextValue Map(Value value, Func<string, string> map)
    {
        MarkedText text = Printing.ToText(value);
        return new TextValue(text.Derive(map(text.Value)));
    }

    private static TextValue Trim(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value? set = arguments.Bind("trim", "chars")[0];
        string? characters = set is null or NoneValue ? null : Printing.ToText(set).Value;
        return new TextValue(Printing.ToText(value).Trim(c => characters is null ? StringMethods.IsSpace(c) : characters.Contains(c), left: true, right: true));
    }

    private static TextValue Replace(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("replace", 2, "old", "new", "count");
        long limit = bound[2] is null or NoneValue ? -1 : Integer(bound[2]!, "replace");
        return new TextValue(StringMethods.Replace(Printing.ToText(value), Printing.ToText(bound[0]!).Value, Printing.ToText(bound[1]!),
            limit < 0 ? long.MaxValue : limit, evaluator.Budget));
    }

    private static TextValue Indent(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("indent", "width", "first", "blank");
        MarkedText indentation = bound[0] is TextValue given ? given.Text
            : MarkedText.FromInput(new string(' ', (int)Math.Clamp(bound[0] is null ? 4 : Integer(bound[0]!, "indent"), 0, 1000)));
        bool first = bound[1] is not null && Comparison.IsTrue(bound[1]!);
        bool blank = bound[2] is not null && Comparison.IsTrue(bound[2]!);
        MarkedText text = Printing.ToText(value);
        MarkedTextBuilder builder = new();
        for (int start = 0, line = 0; ; line++)
        {
            evaluator.Budget.Step();
            int end = text.Value.IndexOf('\n', start);
            int stop = end < 0 ? text.Length : end;
            if (line == 0 ? first : blank || stop > start)
            {
                builder.Append(indentation);
            }

            builder.Append(text.Slice(start, (end < 0 ? stop : stop + 1) - start));
            if (end < 0)
            {
                return new TextValue(builder.ToMarkedText());
            }

            start = end + 1;
        }
    }

    private static Value Center(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value width = arguments.Bind("center", "width")[0] ?? new IntValue(80);
        return StringMethods.Find(new TextValue(Printing.ToText(value)), "center")!.Invoke(evaluator, Arguments.Of(width));
    }

    private static TextValue Truncate(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("truncate", "length", "killwords", "end", "leeway");
        long length = bound[0] is null ? 255 : Integer(bound[0]!, "truncate");
        MarkedText end = bound[2] is null ? MarkedText.FromTemplate("...") : Printing.ToText(bound[2]!);
        long leeway = bound[3] is null or NoneValue ? 5 : Integer(bound[3]!, "truncate");
        MarkedText text = Printing.ToText(value);
        if (length < CodePoints.Count(end.Value) || leeway < 0)
        {
            throw new TemplateException($"truncate to {length} characters leaves no room for the end");
        }

        if (CodePoints.Count(text.Value) <= length + leeway)
        {
            return new TextValue(text);
        }

        int cut = CodePoints.Offset(text.Value, (int)(length - CodePoints.Count(end.Value)));
        int space = bound[1] is not null && Comparison.IsTrue(bound[1]!) ? -1 : text.Value.LastIndexOf(' ', Math.Max(cut - 1, 0));
        return new TextValue(new MarkedTextBuilder().Append(text.Slice(0, space >= 0 ? space : cut)).Append(end).ToMarkedText());
    }

    private static TextValue Join(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("join", "d", "attribute");
        IReadOnlyList<Value> items = Sequences.Items(value, evaluator.Budget);
        if (bound[1] is not null and not NoneValue)
        {
            items = [.. items.Select(item => Path(item, bound[1]!, evaluator.Budget))];
        }

        return StringMethods.Join(bound[0] is null ? MarkedText.Empty : Printing.ToText(bound[0]!), items, evaluator.Budget, anyValue: true);
    }

    /// <summary>As Hugging Face has it: no escaping for HTML or ASCII.</summary>
    private static TextValue ToJson(Evaluator evaluator, Value value, Arguments arguments)
    {
        Value?[] bound = arguments.Bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys");
        string? indent = bound[1] switch
        {
            null or NoneValue => null,
            TextValue text => text.Value,
            _ => new string(' ', (int)Math.Clamp(Integer(bound[1]!, "tojson"), 0, 100)),
        };
        (string item, string key) = bound[2] switch
        {
            null or NoneValue => (indent is null ? ", " : ",", ": "),
            ListValue { Items: [TextValue first, TextValue second] } => (first.Value, second.Value),
            _ => throw new TemplateException("separators must be two texts"),
        };
        bool sortKeys = bound[3] is not null && Comparison.IsTrue(bound[3]!);
        string json = JsonText.Write(value, new JsonText.Style(indent, item, key, sortKeys));
        return TextValue.Of(bound[0] is not null && Comparison.IsTrue(bound[0]!) ? AsciiOnly(json) : json);
    }

    private static string AsciiOnly(string json)
    {
        StringBuilder builder = new();
        foreach (char c in json)
        {
            _ = c < 0x7f ? builder.Append(c) : builder.Append(System.Globalization.CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }

        return builder.ToString();
    }
}
