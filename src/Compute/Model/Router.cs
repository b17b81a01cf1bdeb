namespace Lamina.Compute.Model;

/// <summary>Which experts a row goes to; ties go to the lower number, and a NaN never wins.</summary>
internal static class Router
{
    /// <param name="scores">[experts]: what becomes weights.</param>
    /// <param name="bias">[experts] or empty: added for the choice only.</param>
    /// <param name="selection">[experts]: overwritten.</param>
    /// <param name="chosen">[used]: best first.</param>
    /// <param name="weights">[used]: the scores of the chosen.</param>
    public static void Choose(ExpertShape shape, ReadOnlySpan<float> scores, ReadOnlySpan<float> bias, Span<float> selection, Span<int> chosen, Span<float> weights)
    {
        selection = selection[..shape.Count];
        for (int e = 0; e < shape.Count; e++)
        {
            float score = bias.IsEmpty ? scores[e] : scores[e] + bias[e];
            selection[e] = float.IsNaN(score) ? float.MinValue : score;
        }

        if (shape.Groups > 1)
        {
            KeepBestGroups(shape, selection);
        }

        for (int k = 0; k < shape.Used; k++)
        {
            int best = Largest(selection);
            chosen[k] = best;
            weights[k] = scores[best];
            selection[best] = float.NegativeInfinity;
        }
    }

    /// <summary>Normalises and scales the weights of the chosen.</summary>
    public static void Weigh(ExpertShape shape, Span<float> weights)
    {
        if (shape.Normalise)
        {
            float sum = 0;
            foreach (float weight in weights)
            {
                sum += weight;
            }

            // 2^-14, the smallest normal half: where all weights vanish, nothing is divided by zero.
            sum = Math.Max(sum, 6.103515625e-5f);
            foreach (ref float weight in weights)
            {
                weight /= sum;
            }
        }

        if (shape.WeightScale != 1)
        {
            foreach (ref float weight in weights)
            {
                weight *= shape.WeightScale;
            }
        }
    }

    /// <summary>Rules out every expert outside the groups whose two best experts sum highest.</summary>
    private static void KeepBestGroups(ExpertShape shape, Span<float> selection)
    {
        int size = shape.Count / shape.Groups;
        Span<float> sums = stackalloc float[shape.Groups];
        for (int g = 0; g < shape.Groups; g++)
        {
            float first = float.NegativeInfinity, second = float.NegativeInfinity;
            foreach (float score in selection.Slice(g * size, size))
            {
                if (score > first)
                {
                    (first, second) = (score, first);
                }
                else if (score > second)
                {
                    second = score;
                }
            }

            sums[g] = size > 1 ? first + second : first;
        }

        Span<bool> kept = stackalloc bool[shape.Groups];
        for (int k = 0; k < shape.GroupsUsed; k++)
        {
            int best = Largest(sums);
            kept[best] = true;
            sums[best] = float.NegativeInfinity;
        }

        for (int g = 0; g < shape.Groups; g++)
        {
            if (!kept[g])
            {
                selection.Slice(g * size, size).Fill(float.NegativeInfinity);
            }
        }
    }

    private static int Largest(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
        {
            if (values[i] > values[best])
            {
                best = i;
            }
        }

        return best;
    }
}
