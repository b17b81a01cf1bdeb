namespace Lamina.Compute.Quantization;

/// <summary>Rounds the scales of a block to odd multiples 1, 3, 5, ... of one unit.</summary>
internal static class OddScales
{
    /// <summary>Returns the unit, 0 when all scales are.</summary>
    public static float Quantize(ReadOnlySpan<float> scales, int maxLevel, Span<int> levels)
    {
        levels.Clear();
        float largest = 0;
        foreach (float scale in scales)
        {
            largest = MathF.Max(largest, scale);
        }

        if (largest == 0)
        {
            return 0;
        }

        float unit = largest / ((2 * maxLevel) + 1);
        float inverse = 1 / unit;
        for (int i = 0; i < scales.Length; i++)
        {
            levels[i] = Math.Clamp((int)MathF.Round(0.5f * ((inverse * scales[i]) - 1)), 0, maxLevel);
        }

        return unit;
    }
}
