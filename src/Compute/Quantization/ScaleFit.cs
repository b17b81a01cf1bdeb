using System.Runtime.Intrinsics;

namespace Lamina.Compute.Quantization;

/// <summary>The levels that a symmetric format offers.</summary>
internal interface ILevels
{
    /// <summary>Where the largest value goes at first.</summary>
    static abstract float First { get; }

    /// <summary>Level of largest magnitude, around which other places are tried.</summary>
    static abstract float Extreme { get; }

    /// <summary>Distance between the places around <see cref="Extreme"/>.</summary>
    static abstract float Step { get; }

    /// <summary>How many are tried on either side.</summary>
    static abstract int Steps { get; }

    static abstract Vector256<float> Nearest(Vector256<float> x);

    /// <summary>Product of the three, multiplied in the order of the reference.</summary>
    static abstract Vector256<float> Product(float weight, float x, Vector256<float> level);
}

/// <summary>Finds the scale of x ≈ scale level with the least weighted squared error.</summary>
/// <remarks>Expressions are evaluated in the order that llama-quantize has them, without fused operations: the bytes of a file depend on it.</remarks>
internal static class ScaleFit
{
    /// <summary>Groups whose values are all smaller count as zero.</summary>
    private const float Smallest = 1e-15f;
    private const int MostCandidates = 24;

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

        int count = (2 * TLevels.Steps) + 2;
        Span<float> inverses = stackalloc float[MostCandidates];
        inverses.Clear();
        inverses[0] = TLevels.First / largest;
        for (int i = 1; i < count; i++)
        {
            inverses[i] = (TLevels.Extreme - (TLevels.Step * (i - 1 - TLevels.Steps))) / largest;
        }

        Span<float> sumXL = stackalloc float[MostCandidates];
        Span<float> sumL2 = stackalloc float[MostCandidates];
        for (int i = 0; i < count; i += Vector256<float>.Count)
        {
            Sums<TLevels>(x, weights, Vector256.Create<float>(inverses[i..]), sumXL[i..], sumL2[i..]);
        }

        float scale = 0;
        float saved = 0;
        for (int i = 0; i < count; i++)
        {
            if (sumL2[i] > 0 && sumXL[i] * sumXL[i] > saved * sumL2[i])
            {
                scale = sumXL[i] / sumL2[i];
                saved = scale * sumXL[i];
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

    /// <summary>Eight candidates, one to a lane.</summary>
    private static void Sums<TLevels>(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, Vector256<float> inverse, Span<float> sumXL, Span<float> sumL2)
        where TLevels : struct, ILevels
    {
        Vector256<float> xl = Vector256<float>.Zero;
        Vector256<float> l2 = Vector256<float>.Zero;
        for (int i = 0; i < x.Length; i++)
        {
            Vector256<float> level = TLevels.Nearest(inverse * x[i]);
            xl += TLevels.Product(weights[i], x[i], level);
            l2 += weights[i] * level * level;
        }

        xl.CopyTo(sumXL);
        l2.CopyTo(sumL2);
    }
}
