namespace Lamina.Compute.Quantization;

/// <summary>The levels that a symmetric format offers.</summary>
internal interface ILevels
{
    /// <summary>Where the largest value goes at first.</summary>
    static abstract float First { get; }

    /// <summary>Level of largest magnitude, around which other places are tried.</summary>
    static abstract float Extreme { get; }

    /// <summary>Distance between the places around <see cref="Extreme"/> that are tried next.</summary>
    static abstract float Step { get; }

    /// <summary>How many are tried on either side.</summary>
    static abstract int Steps { get; }

    static abstract float Nearest(float x);

    /// <summary>Product of the three, multiplied in the order of the reference.</summary>
    static abstract float Product(float weight, float x, float level);
}

/// <summary>Finds the scale of x ≈ scale level with the least weighted squared error.</summary>
/// <remarks>Expressions are evaluated in the order that llama-quantize has them, without fused operations: the bytes of a file depend on it.</remarks>
internal static class ScaleFit
{
    /// <summary>Groups whose values are all smaller count as zero.</summary>
    private const float Smallest = 1e-15f;

    /// <summary>
    /// For levels fixed, the best scale is Σwxl / Σwl² and saves (Σwxl)² / Σwl² of the error; levels are assigned for several scales, and the
    /// assignment that saves most wins.
    /// </summary>
    public static float Best<TLevels>(ReadOnlySpan<float> x, ReadOnlySpan<float> weights)
        where TLevels : struct, ILevels
    {
        float largest = Largest(x);
        if (MathF.Abs(largest) < Smallest)
        {
            return 0;
        }

        (float sumXL, float sumL2) = Sums<TLevels>(x, weights, TLevels.First / largest);
        float scale = sumL2 > 0 ? sumXL / sumL2 : 0;
        float saved = scale * sumXL;
        for (int step = -TLevels.Steps; step <= TLevels.Steps; step++)
        {
            (sumXL, sumL2) = Sums<TLevels>(x, weights, (TLevels.Extreme - (TLevels.Step * step)) / largest);
            if (sumL2 > 0 && sumXL * sumXL > saved * sumL2)
            {
                scale = sumXL / sumL2;
                saved = scale * sumXL;
            }
        }

        return scale;
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

    private static (float SumXL, float SumL2) Sums<TLevels>(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, float inverse)
        where TLevels : struct, ILevels
    {
        float sumXL = 0;
        float sumL2 = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float level = TLevels.Nearest(inverse * x[i]);
            sumXL += TLevels.Product(weights[i], x[i], level);
            sumL2 += weights[i] * level * level;
        }

        return (sumXL, sumL2);
    }
}
