using System.Globalization;

namespace Lamina.Compute.Templates.Values;

/// <summary>Python's arithmetic on 64-bit integers and doubles; an integer that does not fit is an error.</summary>
internal static class Numbers
{
    public static bool IsNumber(Value value) => value is IntValue or FloatValue or BoolValue;

    public static double ToDouble(Value value) => value switch
    {
        IntValue number => number.Value,
        FloatValue number => number.Value,
        BoolValue flag => flag.Value ? 1 : 0,
        _ => throw new TemplateException($"expected a number, found {value.TypeName}"),
    };

    public static bool TryToLong(Value value, out long number)
    {
        number = value is IntValue i ? i.Value : value is BoolValue { Value: true } ? 1 : 0;
        return value is IntValue or BoolValue;
    }

    public static Value Calculate(string op, Value left, Value right)
    {
        if (!IsNumber(left) || !IsNumber(right))
        {
            throw new TemplateException($"unsupported operand types for {op}: {left.TypeName} and {right.TypeName}");
        }

        try
        {
            return TryToLong(left, out long a) && TryToLong(right, out long b)
                ? OfLongs(op, a, b)
                : new FloatValue(OfDoubles(op, ToDouble(left), ToDouble(right)));
        }
        catch (OverflowException)
        {
            throw new TemplateException($"the result of {op} does not fit 64 bits");
        }
    }

    private static Value OfLongs(string op, long a, long b) => op switch
    {
        "+" => new IntValue(checked(a + b)),
        "-" => new IntValue(checked(a - b)),
        "*" => new IntValue(checked(a * b)),
        "/" => new FloatValue(a / (double)NotZero(b)),
        "//" => new IntValue(FloorDivide(a, NotZero(b))),
        "%" => new IntValue(checked(a - FloorDivide(a, NotZero(b)) * b)),
        "**" => b < 0 ? new FloatValue(Math.Pow(NotZero(a), b)) : new IntValue(Power(a, b)),
        _ => throw new TemplateException($"unknown operator {op}"),
    };

    private static double OfDoubles(string op, double a, double b) => op switch
    {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / NotZero(b),
        "//" => Math.Floor(a / NotZero(b)),
        "%" => a - Math.Floor(a / NotZero(b)) * b,
        "**" => Math.Pow(a, b),
        _ => throw new TemplateException($"unknown operator {op}"),
    };

    private static long FloorDivide(long a, long b)
    {
        long quotient = checked(a / b);
        return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
    }

    private static long Power(long a, long exponent)
    {
        long result = 1;
        while (exponent > 0)
        {
            if ((exponent & 1) == 1)
            {
                result = checked(result * a);
            }

            exponent >>= 1;
            a = exponent > 0 ? checked(a * a) : a;
        }

        return result;
    }

    private static T NotZero<T>(T value) where T : System.Numerics.INumber<T> =>
        T.IsZero(value) ? throw new TemplateException("division by zero") : value;

    /// <summary>Python's repr of a float: shortest digits that read back alike, exponent below 1e-4 and from 1e16.</summary>
    public static string ToText(double value)
    {
        if (!double.IsFinite(value))
        {
            return double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }

        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        int exponent = Exponent(shortest);
        if (value != 0 && exponent is < -4 or >= 16)
        {
            string mantissa = Digits(shortest);
            string fraction = mantissa.Length > 1 ? "." + mantissa[1..] : "";
            return string.Create(CultureInfo.InvariantCulture,
                $"{(value < 0 ? "-" : "")}{mantissa[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");
        }

        string plain = shortest.Contains('E') ? value.ToString("0.####################", CultureInfo.InvariantCulture) : shortest;
        return plain.Contains('.') ? plain : plain + ".0";
    }

    /// <summary>Decimal exponent of the first significant digit.</summary>
    private static int Exponent(string text)
    {
        int exponentAt = text.IndexOf('E');
        string mantissa = (exponentAt < 0 ? text : text[..exponentAt]).TrimStart('-');
        int written = exponentAt < 0 ? 0 : int.Parse(text.AsSpan(exponentAt + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        int first = mantissa.AsSpan().IndexOfAnyInRange('1', '9');
        int point = mantissa.IndexOf('.') is >= 0 and int at ? at : mantissa.Length;
        return written + (first < 0 ? 0 : first < point ? point - first - 1 : point - first);
    }

    /// <summary>Significant digits of a number's text, without zeros at either end.</summary>
    private static string Digits(string text)
    {
        int exponentAt = text.IndexOf('E');
        string digits = new([.. (exponentAt < 0 ? text : text[..exponentAt]).Where(char.IsAsciiDigit)]);
        digits = digits.Trim('0');
        return digits.Length == 0 ? "0" : digits;
    }
}
