using System.Globalization;
using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>Python's <c>'...' % values</c> and <c>'{}'.format(values)</c>: text keeps its marks where it is inserted as it is.</summary>
internal static class PercentFormat
{
    public static TextValue Apply(TextValue format, IReadOnlyList<Value> values, Budget budget)
    {
        MarkedTextBuilder builder = new();
        string text = format.Value;
        int next = 0;
        for (int i = 0; i < text.Length;)
        {
            int percent = text.IndexOf('%', i);
            if (percent < 0)
            {
                builder.Append(format.Text.Slice(i, text.Length - i));
                break;
            }

            builder.Append(format.Text.Slice(i, percent - i));
            int end = percent + 1;
            while (end < text.Length && text[end] is '-' or '+' or ' ' or '0' or '#' or '.' or (>= '1' and <= '9'))
            {
                end++;
            }

            if (end == text.Length)
            {
                throw new TemplateException("incomplete format");
            }

            if (text[end] == '%')
            {
                builder.Append(format.Text.Slice(end, 1));
            }
            else
            {
                Value value = next < values.Count ? values[next++] : throw new TemplateException("not enough arguments for format string");
                builder.Append(Field(value, text[(percent + 1)..end], text[end], budget));
            }

            i = end + 1;
        }

        if (next < values.Count && values is not [DictValue])
        {
            throw new TemplateException("not all arguments converted during string formatting");
        }

        budget.Write(builder.Length);
        return new TextValue(builder.ToMarkedText());
    }

    private static MarkedText Field(Value value, string options, char conversion, Budget budget)
    {
        string flags = options[..(options.Length - options.TrimStart('-', '+', ' ', '0', '#').Length)];
        string[] sizes = options[flags.Length..].Split('.');
        int width = Size(sizes[0]) ?? 0;
        int? precision = sizes.Length > 1 ? Size(sizes[1]) ?? 0 : null;
        budget.Write(Math.Max(width, precision ?? 0));
        MarkedText body = conversion switch
        {
            's' => Cut(Printing.ToText(value), precision),
            'r' or 'a' => Cut(MarkedText.FromInput(Printing.Repr(value)), precision),
            'd' or 'i' or 'u' => MarkedText.FromInput(Signed(Integer(value), flags, magnitude => magnitude.ToString(CultureInfo.InvariantCulture).PadLeft(precision ?? 0, '0'))),
            'x' => MarkedText.FromInput(Signed(Integer(value), flags, magnitude => magnitude.ToString("x", CultureInfo.InvariantCulture))),
            'X' => MarkedText.FromInput(Signed(Integer(value), flags, magnitude => magnitude.ToString("X", CultureInfo.InvariantCulture))),
            'f' or 'F' => MarkedText.FromInput((flags.Contains('+') && Numbers.ToDouble(value) >= 0 ? "+" : "")
                + Numbers.ToDouble(value).ToString("F" + Math.Min(precision ?? 6, 100).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)),
            _ => throw new TemplateException($"unsupported format character '{conversion}'"),
        };
        int missing = width - CodePoints.Count(body.Value);
        if (missing <= 0)
        {
            return body;
        }

        bool zeros = flags.Contains('0') && conversion is not ('s' or 'r' or 'a') && !flags.Contains('-');
        MarkedTextBuilder builder = new();
        int signLength = zeros && body.Length > 0 && body.Value[0] is '-' or '+' ? 1 : 0;
        builder.Append(body.Slice(0, signLength));
        builder.Append(flags.Contains('-') ? "" : new string(zeros ? '0' : ' ', missing));
        builder.Append(body.Slice(signLength, body.Length - signLength));
        return builder.Append(flags.Contains('-') ? new string(' ', missing) : "").ToMarkedText();
    }

    private static int? Size(string digits) => digits.Length == 0 ? null
        : int.TryParse(digits, CultureInfo.InvariantCulture, out int size) ? size : throw new TemplateException($"'{digits}' is not a width");

    private static MarkedText Cut(MarkedText text, int? length) =>
        length is null ? text : text.Slice(0, Math.Min(CodePoints.Offset(text.Value, length.Value), text.Length));

    private static long Integer(Value value) => value is FloatValue number ? (long)Math.Truncate(number.Value)
        : Numbers.TryToLong(value, out long integer) ? integer
        : throw new TemplateException($"%d format: a number is required, not {value.TypeName}");

    private static string Signed(long value, string flags, Func<Int128, string> magnitude) =>
        (value < 0 ? "-" : flags.Contains('+') ? "+" : flags.Contains(' ') ? " " : "") + magnitude(Int128.Abs(value));
}
