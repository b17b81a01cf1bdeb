namespace Lamina.Compute.Quantization;

/// <summary>Which scales a codebook fit tries: those that put the largest value at the top level ± <paramref name="Steps"/> × <paramref name="Step"/>.</summary>
/// <param name="MaxLevel">Highest level number.</param>
/// <param name="RefineAll">Whether the last assignment revisits groups that are on the grid, too.</param>
/// <param name="FitFirst">Whether to take the largest value from a fit without the grid, which pays where few levels clip it.</param>
internal readonly record struct CodebookSearch(int MaxLevel, int Steps, float Step, bool RefineAll = false, bool FitFirst = false);

/// <summary>Fits magnitudes x ≈ scale value, where values 1, 3, 5, ... come in groups that must stand in a codebook.</summary>
internal static class CodebookFit
{
    private const int LongestBlock = 32;
    private static ReadOnlySpan<float> OddValues => [1, 3, 5, 7, 9, 11, 13, 15];

    /// <summary>Returns the scale and each group's index; 0 when there is nothing to fit.</summary>
    public static float Best(GridSearch grid, CodebookSearch search, ReadOnlySpan<float> x, ReadOnlySpan<float> weights, Span<int> indices)
    {
        indices.Clear();
        float largest = Largest(search, x, weights);
        if (largest < 1e-15f)
        {
            return 0;
        }

        Span<float> roots = stackalloc float[LongestBlock];
        for (int i = 0; i < x.Length; i++)
        {
            roots[i] = MathF.Sqrt(weights[i]);
        }

        float top = (2 * search.MaxLevel) + 1;
        float scale = largest / top;
        float saved = 0;
        int onGrid = 0;
        Span<int> candidate = stackalloc int[indices.Length];
        for (int step = -search.Steps; step <= search.Steps; step++)
        {
            float inverse = (top + (step * search.Step)) / largest;
            int candidateOnGrid = Assign(grid, search.MaxLevel, x, roots, inverse, 1 / inverse, keep: 0, candidate);
            (float sumXQ, float sumQ2) = Sums(grid, x, weights, candidate);
            if (sumQ2 > 0 && sumXQ * sumXQ > saved * sumQ2)
            {
                scale = sumXQ / sumQ2;
                saved = scale * sumXQ;
                candidate.CopyTo(indices);
                onGrid = candidateOnGrid;
            }
        }

        if (onGrid == (1 << indices.Length) - 1)
        {
            return scale;
        }

        Assign(grid, search.MaxLevel, x, roots, 1 / scale, scale, search.RefineAll ? 0 : onGrid, indices);
        (float xq, float q2) = Sums(grid, x, weights, indices);
        return q2 > 0 ? MathF.Abs(xq / q2) : scale;
    }

    private static float Largest(CodebookSearch search, ReadOnlySpan<float> x, ReadOnlySpan<float> weights)
    {
        if (search.FitFirst)
        {
            // One level more than the grid has leaves room for clipping.
            Span<byte> levels = stackalloc byte[LongestBlock];
            return PositiveFit.Best(x, weights, search.MaxLevel + 2, levels[..x.Length]) * (search.MaxLevel + 1);
        }

        float largest = 0;
        foreach (float value in x)
        {
            largest = MathF.Max(largest, value);
        }

        return largest;
    }

    /// <summary>Rounds each group to the lattice, then to the grid. Returns a bit for each group that was on it.</summary>
    /// <param name="keep">A bit for each group to leave as it is.</param>
    private static int Assign(
        GridSearch grid, int maxLevel, ReadOnlySpan<float> x, ReadOnlySpan<float> roots, float inverse, float scale, int keep, Span<int> indices)
    {
        int length = grid.GroupLength;
        int onGrid = 0;
        for (int group = 0; group < indices.Length; group++)
        {
            if (((keep >> group) & 1) != 0)
            {
                continue;
            }

            ReadOnlySpan<float> values = x.Slice(group * length, length);
            int code = 0;
            for (int i = 0; i < length; i++)
            {
                int level = Math.Clamp((int)MathF.Round(0.5f * ((inverse * values[i]) - 1)), 0, maxLevel);
                code |= level << (i * (16 / length));
            }

            onGrid |= grid.IsOnGrid(code) ? 1 << group : 0;
            indices[group] = grid.Index(code, values, roots.Slice(group * length, length), scale, OddValues);
        }

        return onGrid;
    }

    private static (float SumXQ, float SumQ2) Sums(GridSearch grid, ReadOnlySpan<float> x, ReadOnlySpan<float> weights, ReadOnlySpan<int> indices)
    {
        float sumXQ = 0;
        float sumQ2 = 0;
        for (int i = 0; i < x.Length; i++)
        {
            float q = OddValues[grid.LevelAt(grid.CodeOf(indices[i / grid.GroupLength]), i % grid.GroupLength)];
            sumXQ += weights[i] * x[i] * q;
            sumQ2 += weights[i] * q * q;
        }

        return (sumXQ, sumQ2);
    }
}
