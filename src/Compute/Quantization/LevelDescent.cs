namespace Lamina.Compute.Quantization;

/// <summary>Finds the scale of x ≈ scale level for the eight levels -4 to 3, where moving single values between levels beats trying scales.</summary>
/// <remarks>Expressions are evaluated in the order that llama-quantize has them, without fused operations: the bytes of a file depend on it.</remarks>
internal static class LevelDescent
{
    private const int LongestGroup = 16;
    private const int Rounds = 5;
    private const float Smallest = 1e-15f;

    /// <summary>From the levels nearest under the plain scale, moves one value at a time to where the error that the best scale leaves shrinks.</summary>
    public static float Best(ReadOnlySpan<float> x, ReadOnlySpan<float> weights)
    {
        float largest = ScaleFit.Largest(x);
        if (MathF.Abs(largest) < Smallest)
        {
            return 0;
        }

        float inverse = LinearLevels8.First / largest;
        Span<float> levels = stackalloc float[LongestGroup];
        float sumXL = 0;
        float sumL2 = 0;
        for (int i = 0; i < x.Length; i++)
        {
            levels[i] = LinearLevels8.Nearest(inverse * x[i]);
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
                if (!(xl > 0))
                {
                    continue;
                }

                float l2 = sumL2 - (weights[i] * levels[i] * levels[i]);
                float level = LinearLevels8.Nearest(x[i] * l2 / xl);
                if (level == levels[i])
                {
                    continue;
                }

                xl += weights[i] * x[i] * level;
                l2 += weights[i] * level * level;
                if (l2 > 0 && xl * xl * sumL2 > sumXL * sumXL * l2)
                {
                    (levels[i], sumXL, sumL2, moved) = (level, xl, l2, true);
                }
            }
        }

        return sumL2 > 0 ? sumXL / sumL2 : 0;
    }
}
