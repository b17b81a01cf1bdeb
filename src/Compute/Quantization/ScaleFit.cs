namespace Lamina.Compute.Quantization;

/// <summary>The levels that a symmetric format offers.</summary>
internal interface ILevels
{
    /// <summary>Where to try putting the value of largest magnitude: around the longer end of the range, and whatever else pays.</summary>
    static abstract ReadOnlySpan<float> Extremes { get; }

    static abstract float Nearest(float x);
}

/// <summary>Finds the scale of x ≈ scale level with the least weighted squared error.</summary>
internal static class ScaleFit
{
    /// <summary>
    /// For levels fixed, the best scale is Σwxl / Σwl² and saves (Σwxl)² / Σwl² of the error; levels are assigned for the scales that
    /// <see cref="ILevels.Extremes"/> proposes, and the assignment that saves most wins.
    /// </summary>
    public static float Best<TLevels>(ReadOnlySpan<float> x, ReadOnlySpan<float> weights)
        where TLevels : struct, ILevels
    {
        float largest = Largest(x);
        if (MathF.Abs(largest) < 1e-15f)
        {
            return 0;
        }

        float bestScale = 0;
        float bestSaved = 0;
        foreach (float extreme in TLevels.Extremes)
        {
            float inverse = extreme / largest;
            float sumXL = 0;
            float sumL2 = 0;
            for (int i = 0; i < x.Length; i++)
            {
                float level = TLevels.Nearest(x[i] * inverse);
                sumXL += weights[i] * x[i] * level;
                sumL2 += weights[i] * level * level;
            }

            if (sumL2 > 0 && sumXL * sumXL > bestSaved * sumL2)
            {
                bestSaved = sumXL * sumXL / sumL2;
                bestScale = sumXL / sumL2;
            }
        }

        return bestScale;
    }

    /// <summary>The value of largest magnitude, with its sign; the first of several.</summary>
    public static float Largest(ReadOnlySpan<float> x)
    {
        float largest = 0;
        foreach (float value in x)
        {
            if (MathF.Abs(largest) < MathF.Abs(value))
            {
                largest = value;
            }
        }

        return largest;
    }
}
