namespace Lamina.Compute.Quantization;

/// <summary>How much a value's error counts in a fit: large weights of the model matter more than small ones.</summary>
internal static class ErrorWeights
{
    /// <summary>With an importance matrix, its entry times √(2σ² + x²) over the block; else x².</summary>
    public static void Squared(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, Span<float> weights)
    {
        if (!importance.IsEmpty)
        {
            Important(x, importance, weights);
            return;
        }

        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = x[i] * x[i];
        }
    }

    /// <summary>With an importance matrix as above; else the RMS of each group of <paramref name="groupLength"/> plus |x|.</summary>
    public static void RmsPlusMagnitude(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, int groupLength, Span<float> weights)
    {
        if (!importance.IsEmpty)
        {
            Important(x, importance, weights);
            return;
        }

        for (int start = 0; start < x.Length; start += groupLength)
        {
            float rms = MathF.Sqrt(MeanSquare(x.Slice(start, groupLength)));
            for (int i = start; i < start + groupLength; i++)
            {
                weights[i] = rms + MathF.Abs(x[i]);
            }
        }
    }

    /// <summary>With an importance matrix as above; else |x|.</summary>
    public static void Magnitude(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, Span<float> weights)
    {
        if (!importance.IsEmpty)
        {
            Important(x, importance, weights);
            return;
        }

        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = MathF.Abs(x[i]);
        }
    }

    private static void Important(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, Span<float> weights)
    {
        float variance = 2 * MeanSquare(x);
        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = importance[i] * MathF.Sqrt(variance + (x[i] * x[i]));
        }
    }

    private static float MeanSquare(ReadOnlySpan<float> x)
    {
        float sum = 0;
        foreach (float value in x)
        {
            sum += value * value;
        }

        return sum / x.Length;
    }
}
