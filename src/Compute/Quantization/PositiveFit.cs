namespace Lamina.Compute.Quantization;

/// <summary>Finds the scale of x ≈ scale level for values and levels of one sign, level in [0, maxLevel].</summary>
/// <remarks>Expressions are evaluated in the order that llama-quantize has them, without fused operations: the bytes of a file depend on it.</remarks>
internal static class PositiveFit
{
    private const int Candidates = 4;
    private const int Rounds = 5;
    private const float Smallest = 1e-15f;

    /// <summary>The best of some plain scales, then single values move between levels while the error that the best scale leaves shrinks.</summary>
    public static float Best(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int maxLevel, Span<byte> levels)
    {
        levels.Clear();
        float largest = 0;
        foreach (float value in x)
        {
            largest = MathF.Max(largest, value);
        }

        if (largest < Smallest)
        {
            return 0;
        }

        float inverse = BestInverse(x, weights, maxLevel, largest);
        float sumXL = 0;
        float sumL2 = 0;
        for (int i = 0; i < x.Length; i++)
        {
            levels[i] = Level(inverse * x[i], maxLevel);
            sumXL += weights[i] * x[i] * levels[i];
            sumL2 += weights[i] * levels[i] * levels[i];
        }

        bool moved = true;
        for (int round = 0; round < Rounds && moved; round++)
        {
            moved = false;
            for (int i = 0; i < x.Length; i++)
            {
                float xl = sumXL - (weights[i] * x[i] * levels[i]);
                float l2 = sumL2 - (weights[i] * levels[i] * levels[i]);
                if (!(xl > 0 && l2 > 0))
                {
                    continue;
                }

                byte level = Level(x[i] * l2 / xl, maxLevel);
                if (level == levels[i])
                {
                    continue;
                }

                xl += weights[i] * x[i] * level;
                l2 += weights[i] * level * level;
                if (xl * xl * sumL2 > sumXL * sumXL * l2)
                {
                    (levels[i], sumXL, sumL2, moved) = (level, xl, l2, true);
                }
            }
        }

        return sumL2 > 0 ? sumXL / sumL2 : 0;
    }

    private static float BestInverse(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int maxLevel, float largest)
    {
        float best = maxLevel / largest;
        float bestError = Error(x, weights, maxLevel, best);
        for (int step = -Candidates; step <= Candidates; step++)
        {
            float inverse = ((0.1f * step) + maxLevel) / largest;
            float error = Error(x, weights, maxLevel, inverse);
            if (error < bestError)
            {
                (best, bestError) = (inverse, error);
            }
        }

        return best;
    }

    private static float Error(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int maxLevel, float inverse)
    {
        float scale = 1 / inverse;
        float error = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float difference = x[i] - (scale * Level(inverse * x[i], maxLevel));
            error += weights[i] * difference * difference;
        }

        return error;
    }

    private static byte Level(float value, int maxLevel) => (byte)Math.Clamp(MathF.Round(value), 0, maxLevel);
}
