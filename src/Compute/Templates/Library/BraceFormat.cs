using System.Globalization;
using Lamina.Compute.Templates.Evaluation;
using Lamina.Compute.Templates.Values;

namespace Lamina.Compute.Templates.Library;

/// <summary>Python's <c>'{} {0} {name}'.format(...)</c> without conversions and format specifications.</summary>
internal static class BraceFormat
{
    public static TextValue Apply(TextValue format, Arguments arguments)
    {
        MarkedTextBuilder builder = new();
        string text = format.Value;
        int next = 0;
        for (int i = 0; i < text.Length;)
        {
            int brace = text.AsSpan(i).IndexOfAny('{', '}');
            if (brace < 0)
            {
                builder.Append(format.Text.Slice(i, text.Length - i));
                break;
            }

            brace += i;
            builder.Append(format.Text.Slice(i, brace - i));
            if (brace + 1 < text.Length && text[brace + 1] == text[brace])
            {
                builder.Append(format.Text.Slice(brace, 1));
                i = brace + 2;
                continue;
            }

            int close = text[brace] == '{' ? text.IndexOf('}', brace) : -1;
            if (close < 0)
            {
                throw new TemplateException("a single brace in a format string");
            }

            builder.Append(Printing.ToText(Field(text[(brace + 1)..close], arguments, ref next)));
            i = close + 1;
        }

        return new TextValue(builder.ToMarkedText());
    }

    private static Value Field(string name, Arguments arguments, ref int next)
    {
        if (name.Length == 0 || int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out _))
        {
            int index = name.Length == 0 ? next++ : int.Parse(name, CultureInfo.InvariantCulture);
            return index < arguments.Positional.Count ? arguments.Positional[index] : throw new TemplateException($"no argument {index} for the format string");
        }

        foreach ((string keyword, Value value) in arguments.Keywords)
        {
            if (keyword == name)
            {
                return value;
            }
        }

        throw new TemplateException($"format field '{{{name}}}' is not supported or has no argument");
    }
}
