using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Templates.Evaluation;

namespace Lamina.Compute.Templates.Values;

/// <summary>JSON in, as values of the language, and out, as Python's <c>json.dumps</c> writes it without ASCII escaping.</summary>
internal static class JsonText
{
    public static Value Read(JsonNode? node, int depth = 0)
    {
        if (depth > TemplateLimits.ValueDepth)
        {
            throw new TemplateException($"the input nests deeper than {TemplateLimits.ValueDepth}");
        }

        return node switch
        {
            null => NoneValue.Instance,
            JsonObject members => new DictValue(members.Select(member =>
                new KeyValuePair<Value, Value>(TextValue.Of(member.Key), Read(member.Value, depth + 1)))),
            JsonArray items => new ListValue([.. items.Select(item => Read(item, depth + 1))]),
            _ => ReadScalar(node),
        };
    }

    private static Value ReadScalar(JsonNode node)
    {
        switch (node.GetValueKind())
        {
            case JsonValueKind.String:
                return TextValue.Of(node.GetValue<string>());
            case JsonValueKind.True:
                return BoolValue.True;
            case JsonValueKind.False:
                return BoolValue.False;
            case JsonValueKind.Null:
                return NoneValue.Instance;
            default:
                string text = node.ToJsonString();
                return text.AsSpan().ContainsAny('.', 'e', 'E') || !long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
                    ? new FloatValue(double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture))
                    : new IntValue(number);
        }
    }

    /// <summary>Style of <c>json.dumps</c>.</summary>
    /// <param name="Indent">Text of one level, or null for one line.</param>
    public sealed record Style(string? Indent, string ItemSeparator, string KeySeparator, bool SortKeys);

    public static string Write(Value value, Style style)
    {
        StringBuilder builder = new();
        Write(builder, value, style, 0);
        return builder.ToString();
    }

    private static void Write(StringBuilder builder, Value value, Style style, int depth)
    {
        if (depth > TemplateLimits.ValueDepth || builder.Length > TemplateLimits.TextLength)
        {
            throw new TemplateException("a value is too deep or too long to be written as JSON");
        }

        switch (value)
        {
            case NoneValue:
                builder.Append("null");
                break;
            case BoolValue flag:
                builder.Append(flag.Value ? "true" : "false");
                break;
            case IntValue number:
                builder.Append(number.Value.ToString(CultureInfo.InvariantCulture));
                break;
            case FloatValue number:
                builder.Append(double.IsFinite(number.Value) ? Numbers.ToText(number.Value)
                    : double.IsNaN(number.Value) ? "NaN" : number.Value > 0 ? "Infinity" : "-Infinity");
                break;
            case TextValue text:
                WriteString(builder, text.Value);
                break;
            case ListValue { Kind: SequenceKind.List or SequenceKind.Tuple } list:
                WriteItems(builder, '[', ']', list.Items, style, depth, item => Write(builder, item, style, depth + 1));
                break;
            case DictValue dict:
                IEnumerable<KeyValuePair<Value, Value>> items = style.SortKeys
                    ? dict.Items.Order(Comparer<KeyValuePair<Value, Value>>.Create((a, b) => Comparison.Compare(a.Key, b.Key, new Budget())))
                    : dict.Items;
                WriteItems(builder, '{', '}', [.. items], style, depth, item =>
                {
                    WriteString(builder, Key(item.Key));
                    builder.Append(style.KeySeparator);
                    Write(builder, item.Value, style, depth + 1);
                });
                break;
            default:
                throw new TemplateException($"Object of type {value.TypeName} is not JSON serializable");
        }
    }

    private static void WriteItems<T>(StringBuilder builder, char open, char close, IReadOnlyList<T> items, Style style, int depth, Action<T> write)
    {
        builder.Append(open);
        for (int i = 0; i < items.Count; i++)
        {
            builder.Append(i > 0 ? style.ItemSeparator : "");
            NewLine(builder, style, depth + 1);
            write(items[i]);
        }

        if (items.Count > 0)
        {
            NewLine(builder, style, depth);
        }

        builder.Append(close);
    }

    private static void NewLine(StringBuilder builder, Style style, int depth)
    {
        if (style.Indent is not null)
        {
            builder.Append('\n').Insert(builder.Length, style.Indent, depth);
        }
    }

    private static string Key(Value key) => key switch
    {
        TextValue text => text.Value,
        NoneValue => "null",
        BoolValue flag => flag.Value ? "true" : "false",
        IntValue or FloatValue => Printing.ToText(key).Value,
        _ => throw new TemplateException($"a {key.TypeName} cannot be a key of JSON"),
    };

    private static void WriteString(StringBuilder builder, string text)
    {
        builder.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' => builder.Append("\\\""),
                '\\' => builder.Append("\\\\"),
                '\n' => builder.Append("\\n"),
                '\r' => builder.Append("\\r"),
                '\t' => builder.Append("\\t"),
                '\b' => builder.Append("\\b"),
                '\f' => builder.Append("\\f"),
                < ' ' => builder.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => builder.Append(c),
            };
        }

        builder.Append('"');
    }
}
