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

    /// <summary>Assigns levels for several ranges, solves the least-squares problem of each assignment and keeps the best.</summary>
    public static (float Scale, float Minimum) Best(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, AffineSearch search)
    {
        float low = x[0];
        float high = x[0];
        float sumW = weights[0];
        float sumX = weights[0] * x[0];
        for (int i = 1; i < x.Length; i++)
        {
            low = MathF.Min(low, x[i]);
            high = MathF.Max(high, x[i]);
            sumW += weights[i];
            sumX += weights[i] * x[i];
        }

        low = MathF.Min(low, 0);
        if (!(high > low))
        {
            return (0, low);
        }

        Span<float> levels = stackalloc float[LongestGroup];
        float inverse = search.MaxLevel / (high - low);
        Assign(x, low, inverse, search.MaxLevel, levels);
        (float Scale, float Minimum) best = (1 / inverse, low);
        float bestError = Error(x, weights, levels, best, search.AbsoluteError);
        for (int step = 0; step <= search.Steps; step++)
        {
            // Later candidates start from the best minimum so far.
            inverse = (search.First + (search.Step * step) + search.MaxLevel) / (high - best.Minimum);
            Assign(x, best.Minimum, inverse, search.MaxLevel, levels);
            if (Solve(x, weights, levels, sumW, sumX) is not { } solution)
            {
                continue;
            }

            float error = Error(x, weights, levels, solution, search.AbsoluteError);
            if (error < bestError)
            {
                bestError = error;
                best = solution;
            }
        }

        return best;
    }

    private static void Assign(ReadOnlySpan<float> x, float low, float inverse, int maxLevel, Span<float> levels)
    {
        for (int i = 0; i < x.Length; i++)
        {
            levels[i] = Math.Clamp(MathF.Round(inverse * (x[i] - low)), 0, maxLevel);
        }
    }

    /// <summary>The least-squares line through (level, x); through the origin where its minimum would be positive.</summary>
    private static (float Scale, float Minimum)? Solve(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, ReadOnlySpan<float> levels, float sumW, float sumX)
    {
        float sumL = 0;
        float sumL2 = 0;
        float sumXL = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float weighted = weights[i] * levels[i];
            sumL += weighted;
            sumL2 += weighted * levels[i];
            sumXL += weighted * x[i];
        }

        float determinant = (sumW * sumL2) - (sumL * sumL);
        if (!(determinant > 0))
        {
            return null;
        }

        float minimum = ((sumL2 * sumX) - (sumL * sumXL)) / determinant;
        return minimum > 0 ? (sumXL / sumL2, 0) : (((sumW * sumXL) - (sumX * sumL)) / determinant, minimum);
    }

    private static float Error(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, ReadOnlySpan<float> levels, (float Scale, float Minimum) line, bool absolute)
    {
        float error = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float difference = (line.Scale * levels[i]) + line.Minimum - x[i];
            error += weights[i] * (absolute ? MathF.Abs(difference) : difference * difference);
        }

        return error;
    }
}
