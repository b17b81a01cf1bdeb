namespace Lamina.Compute.Quantization;

/// <summary>A block of 256 values in equal groups, each x = d scale q - dmin minimum with small integers for scale, minimum and q.</summary>
internal static class AffineGroups
{
    /// <summary>Fits all groups, rounds their scales and minimums to [0, <paramref name="maxScale"/>] and assigns levels for the rounded ones.</summary>
    public static (Half D, Half Dmin) Quantize(
        ReadOnlySpan<float> x, ReadOnlySpan<float> importance, AffineSearch search, int maxScale, Span<byte> scales, Span<byte> minimums, Span<byte> levels)
    {
        int groupLength = x.Length / scales.Length;
        Span<float> weights = stackalloc float[x.Length];
        if (search.AbsoluteError)
        {
            ErrorWeights.Magnitude(x, importance, weights);
        }
        else
        {
            ErrorWeights.RmsPlusMagnitude(x, importance, groupLength, weights);
        }

        Span<float> fittedScales = stackalloc float[scales.Length];
        Span<float> fittedMinimums = stackalloc float[scales.Length];
        float largestScale = 0;
        float largestMinimum = 0;
        for (int group = 0; group < scales.Length; group++)
        {
            (float scale, float minimum) = AffineFit.Best(x.Slice(group * groupLength, groupLength), weights.Slice(group * groupLength, groupLength), search);
            fittedScales[group] = scale;
            fittedMinimums[group] = -minimum;
            largestScale = MathF.Max(largestScale, scale);
            largestMinimum = MathF.Max(largestMinimum, -minimum);
        }

        Half d = (Half)(largestScale / maxScale);
        Half dmin = (Half)(largestMinimum / maxScale);
        float inverseScale = largestScale > 0 ? maxScale / largestScale : 0;
        float inverseMinimum = largestMinimum > 0 ? maxScale / largestMinimum : 0;
        for (int group = 0; group < scales.Length; group++)
        {
            scales[group] = Level(inverseScale * fittedScales[group], maxScale);
            minimums[group] = Level(inverseMinimum * fittedMinimums[group], maxScale);
            float scale = (float)d * scales[group];
            float minimum = (float)dmin * minimums[group];
            for (int i = group * groupLength; i < (group + 1) * groupLength; i++)
            {
                levels[i] = scale != 0 ? Level((x[i] + minimum) / scale, search.MaxLevel) : (byte)0;
            }
        }

        return (d, dmin);
    }

    private static byte Level(float value, int max) => (byte)Math.Clamp(MathF.Round(value), 0, max);
}
