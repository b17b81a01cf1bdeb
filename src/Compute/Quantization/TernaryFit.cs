namespace Lamina.Compute.Quantization;

/// <summary>
/// Fits x ≈ scale (level ± offset), level -1, 0 or 1, where a few runs of values each choose the sign of their offset. In order of size the levels
/// split the values in three, so trying every pair of boundaries finds the optimum; the groups then move to the codebook.
/// </summary>
internal static class TernaryFit
{
    private const int Longest = 32;
    private const float Offset = Formats.IQ1_S.Offset;

    /// <summary>Returns the scale, never negative, and a bit for each run: set for a negative offset. 0 when there is nothing to fit.</summary>
    /// <param name="runs">1, or 2 halves.</param>
    public static (float Scale, int Offsets) Best(GridSearch grid, ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int runs, Span<int> indices)
    {
        indices.Clear();
        Span<int> levels = stackalloc int[Longest];
        (float scale, int offsets) = Split(x, weights, runs, levels);
        if (scale == 0)
        {
            return (0, 0);
        }

        Span<float> values = stackalloc float[3];
        float sumXQ = 0;
        float sumQ2 = 0;
        bool allOnGrid = true;
        for (int group = 0; group < indices.Length; group++)
        {
            Values(offsets, group * runs / indices.Length, values);
            int code = 0;
            for (int i = 0; i < 8; i++)
            {
                code |= levels[(group * 8) + i] << (2 * i);
            }

            allOnGrid &= grid.IsOnGrid(code);
            ReadOnlySpan<float> groupX = x.Slice(group * 8, 8);
            ReadOnlySpan<float> groupWeights = weights.Slice(group * 8, 8);
            indices[group] = grid.Index(code, groupX, groupWeights, scale, values);
            for (int i = 0; i < 8; i++)
            {
                float q = values[grid.LevelAt(grid.CodeOf(indices[group]), i)];
                sumXQ += groupWeights[i] * q * groupX[i];
                sumQ2 += groupWeights[i] * q * q;
            }
        }

        return (!allOnGrid && sumXQ > 0 && sumQ2 > 0 ? sumXQ / sumQ2 : scale, offsets);
    }

    /// <summary>What the levels of a run stand for.</summary>
    public static void Values(int offsets, int run, Span<float> values)
    {
        float offset = ((offsets >> run) & 1) != 0 ? -Offset : Offset;
        for (int level = 0; level < 3; level++)
        {
            values[level] = level - 1 + offset;
        }
    }

    private static (float Scale, int Offsets) Split(ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int runs, Span<int> levels)
    {
        Span<float> sorted = stackalloc float[x.Length];
        Span<int> order = stackalloc int[x.Length];
        x.CopyTo(sorted);
        for (int i = 0; i < order.Length; i++)
        {
            order[i] = i;
        }

        sorted.Sort(order);
        // Sums over the smallest j values of each run.
        Span<float> sumX = stackalloc float[runs * (x.Length + 1)];
        Span<float> sumW = stackalloc float[runs * (x.Length + 1)];
        sumX.Clear();
        sumW.Clear();
        for (int j = 0; j < order.Length; j++)
        {
            int i = order[j];
            for (int run = 0; run < runs; run++)
            {
                int at = (run * (x.Length + 1)) + j;
                bool inRun = i * runs / x.Length == run;
                sumX[at + 1] = sumX[at] + (inRun ? weights[i] * x[i] : 0);
                sumW[at + 1] = sumW[at] + (inRun ? weights[i] : 0);
            }
        }

        (float scale, int offsets, int first, int second) = BestBoundaries(sumX, sumW, x.Length, runs);
        for (int j = 0; j < order.Length; j++)
        {
            int level = j < first ? 0 : j < second ? 1 : 2;
            levels[order[j]] = scale < 0 ? 2 - level : level;
        }

        return scale < 0 ? (-scale, offsets ^ ((1 << runs) - 1)) : (scale, offsets);
    }

    private static (float Scale, int Offsets, int First, int Second) BestBoundaries(ReadOnlySpan<float> sumX, ReadOnlySpan<float> sumW, int count, int runs)
    {
        (float Scale, int Offsets, int First, int Second) best = default;
        float saved = 0;
        Span<float> values = stackalloc float[3];
        for (int first = 0; first <= count; first++)
        {
            for (int second = first; second <= count; second++)
            {
                for (int offsets = 0; offsets < 1 << runs; offsets++)
                {
                    float xq = 0;
                    float q2 = 0;
                    for (int run = 0; run < runs; run++)
                    {
                        Values(offsets, run, values);
                        ReadOnlySpan<float> runX = sumX.Slice(run * (count + 1), count + 1);
                        ReadOnlySpan<float> runW = sumW.Slice(run * (count + 1), count + 1);
                        xq += (runX[first] * values[0]) + ((runX[second] - runX[first]) * values[1]) + ((runX[count] - runX[second]) * values[2]);
                        q2 += (runW[first] * values[0] * values[0]) + ((runW[second] - runW[first]) * values[1] * values[1]) + ((runW[count] - runW[second]) * values[2] * values[2]);
                    }

                    if (q2 > 0 && xq * xq > saved * q2)
                    {
                        best = (xq / q2, offsets, first, second);
                        saved = best.Scale * xq;
                    }
                }
            }
        }

        return best;
    }
}
