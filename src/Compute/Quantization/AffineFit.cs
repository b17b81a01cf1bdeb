namespace Lamina.Compute.Quantization;

/// <summary>Finds scale and minimum of x ≈ scale q + minimum, q in [0, maxLevel], minimum ≤ 0, with the least weighted squared error.</summary>
internal static class AffineFit
{
    private const int Candidates = 21;
    private const int LongestGroup = 32;

    /// <summary>
    /// Assigns levels for several ranges around the values' own, solves the least-squares problem of each assignment and keeps the best.
    /// </summary>
    public static (float Scale, float Minimum) Best(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int maxLevel)
    {
        float low = 0;
        float high = float.NegativeInfinity;
        float sumW = 0;
        float sumX = 0;
        for (int i = 0; i < x.Length; i++)
        {
            low = MathF.Min(low, x[i]);
            high = MathF.Max(high, x[i]);
            sumW += weights[i];
            sumX += weights[i] * x[i];
        }

        if (!(high > low) || sumW <= 0)
        {
            return (0, low);
        }

        (float Scale, float Minimum) best = ((high - low) / maxLevel, low);
        float bestError = float.PositiveInfinity;
        Span<float> levels = stackalloc float[LongestGroup];
        for (int candidate = 0; candidate < Candidates; candidate++)
        {
            float inverse = (maxLevel - 1 + (0.1f * candidate)) / (high - low);
            float sumL = 0;
            float sumL2 = 0;
            float sumXL = 0;
            for (int i = 0; i < x.Length; i++)
            {
                float level = Math.Clamp(MathF.Round((x[i] - low) * inverse), 0, maxLevel);
                levels[i] = level;
                sumL += weights[i] * level;
                sumL2 += weights[i] * level * level;
                sumXL += weights[i] * level * x[i];
            }

            float determinant = (sumW * sumL2) - (sumL * sumL);
            if (!(determinant > 0))
            {
                continue;
            }

            float scale = ((sumW * sumXL) - (sumX * sumL)) / determinant;
            float minimum = ((sumL2 * sumX) - (sumL * sumXL)) / determinant;
            if (minimum > 0)
            {
                minimum = 0;
                scale = sumXL / sumL2;
            }

            float error = Error(x, weights, levels, scale, minimum);
            if (error < bestError)
            {
                bestError = error;
                best = (scale, minimum);
            }
        }

        return best;
    }

    private static float Error(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, ReadOnlySpan<float> levels, float scale, float minimum)
    {
        float error = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float difference = (scale * levels[i]) + minimum - x[i];
            error += weights[i] * difference * difference;
        }

        return error;
    }
}
