using System.Globalization;
using System.Text;

namespace Lamina.Compute.Templates.Library;

/// <summary>C's <c>strftime</c> in the C locale.</summary>
internal static class Strftime
{
    public static string Format(DateTime time, string format)
    {
        StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            bool unpadded = format[++i] == '-' && i + 1 < format.Length;
            char directive = unpadded ? format[++i] : format[i];
            string field = Field(time, directive);
            text.Append(unpadded && field.TrimStart('0') is { Length: > 0 } trimmed ? trimmed : field);
        }

        return text.ToString();
    }

    private static string Field(DateTime time, char directive)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        return directive switch
        {
            'd' => time.ToString("dd", culture),
            'e' => time.Day.ToString(culture).PadLeft(2),
            'm' => time.ToString("MM", culture),
            'b' or 'h' => time.ToString("MMM", culture),
            'B' => time.ToString("MMMM", culture),
            'a' => time.ToString("ddd", culture),
            'A' => time.ToString("dddd", culture),
            'y' => time.ToString("yy", culture),
            'Y' => time.ToString("yyyy", culture),
            'H' => time.ToString("HH", culture),
            'I' => time.ToString("hh", culture),
            'M' => time.ToString("mm", culture),
            'S' => time.ToString("ss", culture),
            'f' => time.ToString("ffffff", culture),
            'p' => time.Hour < 12 ? "AM" : "PM",
            'j' => time.DayOfYear.ToString("000", culture),
            'w' => ((int)time.DayOfWeek).ToString(culture),
            'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(culture),
            'F' => time.ToString("yyyy-MM-dd", culture),
            'T' => time.ToString("HH:mm:ss", culture),
            'R' => time.ToString("HH:mm", culture),
            'D' => time.ToString("MM/dd/yy", culture),
            'Z' or 'z' => time.Kind == DateTimeKind.Utc ? (directive == 'Z' ? "UTC" : "+0000") : "",
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            _ => throw new TemplateException($"unknown directive %{directive} of strftime"),
        };
    }
}
