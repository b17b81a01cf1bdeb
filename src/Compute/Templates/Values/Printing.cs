using System.Globalization;
using System.Text;

namespace Lamina.Compute.Templates.Values;

/// <summary>Python's <c>str</c> and <c>repr</c>.</summary>
internal static class Printing
{
    /// <summary><c>str(value)</c>; a text keeps its marks.</summary>
    public static MarkedText ToText(Value value)
    {
        if (value is TextValue text)
        {
            return text.Text;
        }

        StringBuilder builder = new();
        if (value is not UndefinedValue)
        {
            Write(builder, value, 0);
        }

        return MarkedText.FromInput(builder.ToString());
    }

    public static string Repr(Value value)
    {
        StringBuilder builder = new();
        Write(builder, value, 0);
        return builder.ToString();
    }

    private static void Write(StringBuilder builder, Value value, int depth)
    {
        if (depth > TemplateLimits.ValueDepth || builder.Length > TemplateLimits.TextLength)
        {
            throw new TemplateException("a value is too deep or too long to be written as text");
        }

        switch (value)
        {
            case TextValue text:
                WriteQuoted(builder, text.Value);
                break;
            case IntValue number:
                builder.Append(number.Value.ToString(CultureInfo.InvariantCulture));
                break;
            case FloatValue number:
                builder.Append(Numbers.ToText(number.Value));
                break;
            case BoolValue flag:
                builder.Append(flag.Value ? "True" : "False");
                break;
            case NoneValue:
                builder.Append("None");
                break;
            case ListValue list:
                WriteList(builder, list, depth);
                break;
            case DictValue dict:
                WriteDict(builder, dict, depth);
                break;
            default:
                builder.Append('<').Append(value.TypeName).Append('>');
                break;
        }
    }

    private static void WriteList(StringBuilder builder, ListValue list, int depth)
    {
        if (IsPlainRange(list))
        {
            long start = list.Items.Count > 0 ? ((IntValue)list.Items[0]).Value : 0;
            builder.Append(CultureInfo.InvariantCulture, $"range({start}, {start + list.Items.Count})");
            return;
        }

        builder.Append(list.IsTuple ? '(' : '[');
        for (int i = 0; i < list.Items.Count; i++)
        {
            builder.Append(i > 0 ? ", " : "");
            Write(builder, list.Items[i], depth + 1);
        }

        builder.Append(list.IsTuple ? (list.Items.Count == 1 ? ",)" : ")") : "]");
    }

    private static bool IsPlainRange(ListValue list) => list.Kind == SequenceKind.Range
        && (list.Items.Count < 2 || ((IntValue)list.Items[1]).Value == ((IntValue)list.Items[0]).Value + 1);

    private static void WriteDict(StringBuilder builder, DictValue dict, int depth)
    {
        builder.Append('{');
        for (int i = 0; i < dict.Items.Count; i++)
        {
            builder.Append(i > 0 ? ", " : "");
            Write(builder, dict.Items[i].Key, depth + 1);
            builder.Append(": ");
            Write(builder, dict.Items[i].Value, depth + 1);
        }

        builder.Append('}');
    }

    private static void WriteQuoted(StringBuilder builder, string text)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        builder.Append(quote);
        foreach (Rune rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '\n':
                    builder.Append("\\n");
                    break;
                case '\r':
                    builder.Append("\\r");
                    break;
                case '\t':
                    builder.Append("\\t");
                    break;
                case int c when c == quote || c == '\\':
                    builder.Append('\\').Append((char)c);
                    break;
                case int c when c != ' ' && IsHidden(rune):
                    builder.Append(CultureInfo.InvariantCulture, $"{(c < 256 ? "\\x" : c < 65536 ? "\\u" : "\\U")}");
                    builder.Append(c.ToString(c < 256 ? "x2" : c < 65536 ? "x4" : "x8", CultureInfo.InvariantCulture));
                    break;
                default:
                    builder.Append(rune.ToString());
                    break;
            }
        }

        builder.Append(quote);
    }

    private static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator;
}
