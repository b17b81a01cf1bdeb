using System.Globalization;

namespace Lamina.Compute.Templates.Library;

/// <summary>Numbers as Python's <c>int()</c> and <c>float()</c> read them from text.</summary>
internal static class NumberText
{
    /// <param name="numberBase">2 to 36; 0 goes by the prefix.</param>
    public static bool TryInteger(string text, int numberBase, out long value)
    {
        value = 0;
        ReadOnlySpan<char> digits = text.AsSpan().Trim();
        bool negative = digits.StartsWith("-");
        digits = negative || digits.StartsWith("+") ? digits[1..] : digits;
        int prefixBase = digits.Length > 2 && digits[0] == '0' ? char.ToLowerInvariant(digits[1]) switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 } : 0;
        if (prefixBase != 0 && (numberBase == 0 || numberBase == prefixBase))
        {
            numberBase = prefixBase;
            digits = digits[2..];
        }

        numberBase = numberBase == 0 ? 10 : numberBase;
        if (digits.IsEmpty || numberBase is < 2 or > 36 || digits[0] == '_' || digits[^1] == '_')
        {
            return false;
        }

        Int128 number = 0;
        foreach (char c in digits)
        {
            int digit = c is >= '0' and <= '9' ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10 : c == '_' ? -1 : 99;
            if (digit >= numberBase || number > long.MaxValue)
            {
                return false;
            }

            number = digit < 0 ? number : number * numberBase + digit;
        }

        number = negative ? -number : number;
        value = number <= long.MaxValue ? (long)number : 0;
        return number <= long.MaxValue;
    }

    public static bool TryFloat(string text, out double value)
    {
        ReadOnlySpan<char> trimmed = text.AsSpan().Trim();
        if (trimmed.Equals("inf", StringComparison.OrdinalIgnoreCase) || trimmed.Equals("nan", StringComparison.OrdinalIgnoreCase))
        {
            value = char.ToLowerInvariant(trimmed[0]) == 'i' ? double.PositiveInfinity : double.NaN;
            return true;
        }

        return double.TryParse(trimmed, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out value);
    }
}
