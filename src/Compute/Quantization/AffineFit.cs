using System.Runtime.Intrinsics;

namespace Lamina.Compute.Quantization;

/// <summary>Which ranges a fit tries: levels [0, <paramref name="MaxLevel"/>] spread over the values' range as if there were <c>MaxLevel + First + i Step</c> of them.</summary>
/// <param name="AbsoluteError">Judge candidates by |error| instead of its square.</param>
internal readonly record struct AffineSearch(int MaxLevel, float First, float Step, int Steps, bool AbsoluteError = false)
{
    /// <summary>The finer search that an importance matrix is worth.</summary>
    public static AffineSearch Fine(int maxLevel) => new(maxLevel, -0.9f, 0.05f, 36);
}

/// <summary>Finds scale and minimum of x ≈ scale q + minimum, q a level, minimum ≤ 0, with the least weighted error.</summary>
/// <remarks>Expressions are evaluated in the order that llama-quantize has them, without fused operations: the bytes of a file depend on it.</remarks>
internal static class AffineFit
{
    private const int LongestGroup = 32;

    /// <summary>One group.</summary>
    public static (float Scale, float Minimum) Best(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, AffineSearch search)
    {
        Span<Vector256<float>> lanesX = stackalloc Vector256<float>[x.Length];
        Span<Vector256<float>> lanesW = stackalloc Vector256<float>[x.Length];
        GroupLanes.Repeat(x, lanesX);
        GroupLanes.Repeat(weights, lanesW);
        (Vector256<float> scale, Vector256<float> minimum) = Best(lanesX, lanesW, search);
        return (scale[0], minimum[0]);
    }

    /// <summary>Eight groups, one to a lane. Assigns levels for several ranges, solves the least-squares problem of each assignment and keeps the best.</summary>
    public static (Vector256<float> Scale, Vector256<float> Minimum) Best(ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> weights, AffineSearch search)
    {
        Vector256<float> low = x[0];
        Vector256<float> high = x[0];
        Vector256<float> sumW = weights[0];
        Vector256<float> sumX = weights[0] * x[0];
        for (int i = 1; i < x.Length; i++)
        {
            low = Vector256.Min(low, x[i]);
            high = Vector256.Max(high, x[i]);
            sumW += weights[i];
            sumX += weights[i] * x[i];
        }

        low = Vector256.Min(low, Vector256<float>.Zero);
        Vector256<float> spread = Vector256.GreaterThan(high, low);
        Vector256<float> top = Vector256.Create((float)search.MaxLevel);
        Span<Vector256<float>> levels = stackalloc Vector256<float>[LongestGroup];
        Vector256<float> inverse = top / (high - low);
        Assign(x, low, inverse, top, levels);
        Vector256<float> bestScale = Vector256<float>.One / inverse;
        Vector256<float> bestMinimum = low;
        Vector256<float> bestError = Error(x, weights, levels, bestScale, bestMinimum, search.AbsoluteError);
        for (int step = 0; step <= search.Steps; step++)
        {
            // Later candidates start from the best minimum so far.
            inverse = Vector256.Create(search.First + (search.Step * step) + search.MaxLevel) / (high - bestMinimum);
            Assign(x, bestMinimum, inverse, top, levels);
            (Vector256<float> scale, Vector256<float> minimum, Vector256<float> solved) = Solve(x, weights, levels, sumW, sumX);
            Vector256<float> error = Error(x, weights, levels, scale, minimum, search.AbsoluteError);
            Vector256<float> better = Vector256.LessThan(error, bestError) & solved;
            bestError = Vector256.ConditionalSelect(better, error, bestError);
            bestScale = Vector256.ConditionalSelect(better, scale, bestScale);
            bestMinimum = Vector256.ConditionalSelect(better, minimum, bestMinimum);
        }

        return (bestScale & spread, Vector256.ConditionalSelect(spread, bestMinimum, low));
    }

    private static void Assign(ReadOnlySpan<Vector256<float>> x, Vector256<float> low, Vector256<float> inverse, Vector256<float> top, Span<Vector256<float>> levels)
    {
        for (int i = 0; i < x.Length; i++)
        {
            levels[i] = Vector256.Min(Vector256.Max(Vector256.Round(inverse * (x[i] - low)), Vector256<float>.Zero), top);
        }
    }

    /// <summary>The least-squares line through (level, x); through the origin where its minimum would be positive.</summary>
    private static (Vector256<float> Scale, Vector256<float> Minimum, Vector256<float> Solved) Solve(
        ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> weights, ReadOnlySpan<Vector256<float>> levels, Vector256<float> sumW, Vector256<float> sumX)
    {
        Vector256<float> sumL = Vector256<float>.Zero;
        Vector256<float> sumL2 = Vector256<float>.Zero;
        Vector256<float> sumXL = Vector256<float>.Zero;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> weighted = weights[i] * levels[i];
            sumL += weighted;
            sumL2 += weighted * levels[i];
            sumXL += weighted * x[i];
        }

        Vector256<float> determinant = (sumW * sumL2) - (sumL * sumL);
        Vector256<float> minimum = ((sumL2 * sumX) - (sumL * sumXL)) / determinant;
        Vector256<float> scale = ((sumW * sumXL) - (sumX * sumL)) / determinant;
        Vector256<float> positive = Vector256.GreaterThan(minimum, Vector256<float>.Zero);
        return (
            Vector256.ConditionalSelect(positive, sumXL / sumL2, scale),
            Vector256.AndNot(minimum, positive),
            Vector256.GreaterThan(determinant, Vector256<float>.Zero));
    }

    private static Vector256<float> Error(
        ReadOnlySpan<Vector256<float>> x, ReadOnlySpan<Vector256<float>> weights, ReadOnlySpan<Vector256<float>> levels, Vector256<float> scale, Vector256<float> minimum, bool absolute)
    {
        Vector256<float> error = Vector256<float>.Zero;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> difference = (scale * levels[i]) + minimum - x[i];
            error += weights[i] * (absolute ? Vector256.Abs(difference) : difference * difference);
        }

        return error;
    }
}
