namespace Lamina.Compute.Templates.Values;

/// <summary>Text escaped for HTML, which templates meet only through <c>safe</c> and <c>escape</c>.</summary>
internal static class Markup
{
    public static TextValue Escape(Value value)
    {
        if (value is TextValue { IsEscaped: true } escaped)
        {
            return escaped;
        }

        MarkedText text = Printing.ToText(value);
        string html = text.Value
            .Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("'", "&#39;", StringComparison.Ordinal).Replace("\"", "&#34;", StringComparison.Ordinal);
        return new TextValue(html.Length == text.Length ? text : text.Derive(html), isEscaped: true);
    }
}
