namespace Lamina.Compute.Quantization;

/// <summary>How much a value's error counts in a fit: large weights of the model matter more than small ones.</summary>
internal static class ErrorWeights
{
    /// <summary>As <see cref="Important"/> where there is an importance matrix; else x².</summary>
    public static void Squared(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, Span<float> weights, float varianceFactor = 2)
    {
        if (!importance.IsEmpty)
        {
            Important(x, importance, weights, varianceFactor);
            return;
        }

        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = x[i] * x[i];
        }
    }

    /// <summary>The matrix's entry times √(f σ² + x²), σ² taken over all of <paramref name="x"/> and f the <paramref name="varianceFactor"/>.</summary>
    public static void Important(ReadOnlySpan<float> x, ReadOnlySpan<float> importance, Span<float> weights, float varianceFactor)
    {
        float variance = varianceFactor * MeanSquare(x);
        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = importance[i] * MathF.Sqrt(variance + (x[i] * x[i]));
        }
    }

    /// <summary>The RMS of each group of <paramref name="groupLength"/> plus |x|.</summary>
    public static void RmsPlusMagnitude(ReadOnlySpan<float> x, int groupLength, Span<float> weights)
    {
        for (int start = 0; start < x.Length; start += groupLength)
        {
            float rms = MathF.Sqrt(MeanSquare(x.Slice(start, groupLength)));
            for (int i = start; i < start + groupLength; i++)
            {
                weights[i] = rms + MathF.Abs(x[i]);
            }
        }
    }

    public static void Magnitude(ReadOnlySpan<float> x, Span<float> weights)
    {
        for (int i = 0; i < x.Length; i++)
        {
            weights[i] = MathF.Abs(x[i]);
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
