using System.Runtime.Intrinsics;

namespace Lamina.Compute.Quantization;

/// <summary>A block of 256 values in equal groups, each x = d scale q - dmin minimum with small integers for scale, minimum and q.</summary>
internal static class AffineGroups
{
    /// <summary>
    /// Fits all groups, rounds their scales and minimums to [0, <paramref name="maxScale"/>] and assigns levels for the rounded ones. With an importance matrix the
    /// search is finer and the rounding weighs the groups.
    /// </summary>
    /// <param name="search">How to fit without an importance matrix; an absolute error goes with weights |x|.</param>
    public static (Half D, Half Dmin) Quantize(
        AffineSearch search, ReadOnlySpan<float> x, ReadOnlySpan<float> importance, int maxScale, Span<byte> scales, Span<byte> minimums, Span<byte> levels)
    {
        int groupLength = x.Length / scales.Length;
        Span<float> weights = stackalloc float[x.Length];
        Weigh(search, x, importance, groupLength, weights);
        Span<float> fittedScales = stackalloc float[scales.Length];
        Span<float> fittedMinimums = stackalloc float[scales.Length];
        Span<float> groupWeights = stackalloc float[scales.Length];
        Fit(x, weights, groupLength, importance.IsEmpty ? search : AffineSearch.Fine(search.MaxLevel), fittedScales, fittedMinimums);
        for (int group = 0; group < scales.Length; group++)
        {
            groupWeights[group] = Sum(weights.Slice(group * groupLength, groupLength));
        }

        Half d = (Half)Round(fittedScales, groupWeights, maxScale, weighted: !importance.IsEmpty, scales);
        Half dmin = (Half)Round(fittedMinimums, groupWeights, maxScale, weighted: !importance.IsEmpty, minimums);
        for (int i = 0; i < x.Length; i++)
        {
            float scale = (float)d * scales[i / groupLength];
            float minimum = (float)dmin * minimums[i / groupLength];
            levels[i] = scale != 0 ? Level((x[i] + minimum) / scale, search.MaxLevel) : (byte)0;
        }

        return (d, dmin);
    }

    private static void Fit(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int groupLength, AffineSearch search, Span<float> scales, Span<float> minimums)
    {
        Span<Vector256<float>> lanesX = stackalloc Vector256<float>[groupLength];
        Span<Vector256<float>> lanesW = stackalloc Vector256<float>[groupLength];
        for (int first = 0; first < scales.Length; first += GroupLanes.Count)
        {
            GroupLanes.Spread(x[(first * groupLength)..], groupLength, lanesX);
            GroupLanes.Spread(weights[(first * groupLength)..], groupLength, lanesW);
            (Vector256<float> scale, Vector256<float> minimum) = AffineFit.Best(lanesX, lanesW, search);
            scale.CopyTo(scales[first..]);
            (-minimum).CopyTo(minimums[first..]);
        }
    }

    private static void Weigh(AffineSearch search, ReadOnlySpan<float> x, ReadOnlySpan<float> importance, int groupLength, Span<float> weights)
    {
        if (!importance.IsEmpty)
        {
            // Two-bit groups take the plain variance, the wider ones twice that.
            ErrorWeights.Important(x, importance, weights, search.AbsoluteError ? 1 : 2);
        }
        else if (search.AbsoluteError)
        {
            ErrorWeights.Magnitude(x, weights);
        }
        else
        {
            ErrorWeights.RmsPlusMagnitude(x, groupLength, weights);
        }
    }

    /// <summary>Returns the unit of which <paramref name="levels"/> count multiples.</summary>
    private static float Round(ReadOnlySpan<float> values, ReadOnlySpan<float> weights, int max, bool weighted, Span<byte> levels)
    {
        if (weighted)
        {
            return PositiveFit.Best(values, weights, max, levels);
        }

        float largest = 0;
        foreach (float value in values)
        {
            largest = MathF.Max(largest, value);
        }

        float inverse = largest > 0 ? max / largest : 0;
        for (int i = 0; i < values.Length; i++)
        {
            levels[i] = Level(inverse * values[i], max);
        }

        return largest / max;
    }

    private static float Sum(ReadOnlySpan<float> values)
    {
        float sum = 0;
        foreach (float value in values)
        {
            sum += value;
        }

        return sum;
    }

    private static byte Level(float value, int max) => (byte)Math.Clamp(MathF.Round(value), 0, max);
}
