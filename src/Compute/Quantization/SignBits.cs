namespace Lamina.Compute.Quantization;

/// <summary>Splits eight values into magnitudes and sign bits, as codebook formats store them.</summary>
internal static class SignBits
{
    public static int Split(ReadOnlySpan<float> x, Span<float> magnitudes)
    {
        int signs = 0;
        for (int i = 0; i < 8; i++)
        {
            magnitudes[i] = MathF.Abs(x[i]);
            signs |= x[i] < 0 ? 1 << i : 0;
        }

        return signs;
    }

    /// <summary>
    /// Keeps the number of minus signs even, so that seven bits tell all eight: where it is odd, the sign of the value that matters least is given up, and its
    /// magnitude becomes negative.
    /// </summary>
    public static int SplitEven(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, Span<float> magnitudes)
    {
        int signs = Split(x, magnitudes);
        if (int.PopCount(signs) % 2 == 0)
        {
            return signs & 127;
        }

        int least = 0;
        for (int i = 1; i < 8; i++)
        {
            if (weights[i] * x[i] * x[i] < weights[least] * x[least] * x[least])
            {
                least = i;
            }
        }

        magnitudes[least] = -magnitudes[least];
        return (signs ^ (1 << least)) & 127;
    }
}
