namespace Lamina.Compute.Kernels.Elementwise;

/// <summary>
/// Logarithm, exponential, sine and cosine from IEEE operations alone, with errors of a few units in the last place: the platform's own
/// differ between machines, and positions must rotate by the same bits on every node of a pipeline.
/// </summary>
internal static class ExactMath
{
    private const double Ln2High = 6.93147180369123816490e-01;
    private const double Ln2Low = 1.90821492927058770002e-10;

    /// <summary>For positive, normal x.</summary>
    public static double Log(double x)
    {
        long bits = BitConverter.DoubleToInt64Bits(x);
        int exponent = (int)(bits >> 52) - 1023;
        double mantissa = BitConverter.Int64BitsToDouble((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000);
        if (mantissa > 1.4142135623730951)
        {
            mantissa *= 0.5;
            exponent++;
        }

        // ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172.
        double s = (mantissa - 1) / (mantissa + 1), square = s * s, series = 0;
        for (int k = 21; k >= 1; k -= 2)
        {
            series = (series * square) + (1.0 / k);
        }

        return (exponent * Ln2High) + ((exponent * Ln2Low) + (2 * s * series));
    }

    /// <summary>For |x| below 700.</summary>
    public static double Exp(double x)
    {
        double n = Math.Round(x * 1.4426950408889634, MidpointRounding.ToEven);
        double r = (x - (n * Ln2High)) - (n * Ln2Low), series = 1;
        for (int k = 17; k >= 1; k--)
        {
            series = 1 + (series * r / k);
        }

        return series * BitConverter.Int64BitsToDouble(((long)n + 1023) << 52);
    }

    public static double Pow(double x, double y) => Exp(y * Log(x));

    /// <summary>For |x| below 2^30.</summary>
    public static (double Sin, double Cos) SinCos(double x)
    {
        // pi / 2 in three parts; the first two have 33 bits, so that their multiples are exact.
        double quadrant = Math.Round(x * 0.63661977236758134308, MidpointRounding.ToEven);
        double r = ((x - (quadrant * 1.57079632673412561417)) - (quadrant * 6.07710050630396597660e-11)) - (quadrant * 2.02226624879595063154e-21);
        double square = r * r;

        double sin = 0, cos = 0;
        for (int k = 18; k >= 2; k -= 2)
        {
            sin = (1 + sin) * -square / ((k + 1) * k);
            cos = (1 + cos) * -square / (k * (k - 1));
        }

        sin = r + (r * sin);
        cos = 1 + cos;
        return ((long)quadrant & 3) switch
        {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
    }
}
