namespace Lamina.Compute.Sampling;

/// <summary>The steps that narrow the choice. Each leaves at least one candidate.</summary>
internal static class Truncation
{
    public static void TopK(Candidates candidates, int k)
    {
        if (k > 0)
        {
            candidates.KeepTop(k);
        }
    }

    /// <summary>Nucleus: the smallest set of most likely tokens with probability p (Holtzman et al. 2019).</summary>
    public static void TopP(Candidates candidates, float p)
    {
        if (p < 1)
        {
            candidates.KeepMass(candidates.Logits, p);
        }
    }

    /// <summary>Tokens at least p times as likely as the most likely one.</summary>
    public static void MinP(Candidates candidates, float p)
    {
        if (p > 0)
        {
            candidates.Weigh();
            candidates.KeepLogitsFrom(Math.Min(candidates.Max, candidates.Max + MathF.Log(p)));
        }
    }

    /// <summary>Locally typical set: the tokens whose surprise is nearest to the entropy, up to mass p (Meister et al. 2022).</summary>
    public static void Typical(Candidates candidates, float p)
    {
        if (p >= 1)
        {
            return;
        }

        double entropy = candidates.Entropy();
        double logTotal = Math.Log(candidates.Total);
        ReadOnlySpan<float> logits = candidates.Logits;
        Span<float> keys = candidates.Keys;
        for (int i = 0; i < keys.Length; i++)
        {
            double surprise = logTotal - (logits[i] - candidates.Max);
            keys[i] = (float)-Math.Abs(surprise - entropy);
        }

        candidates.KeepMass(keys, p);
    }

    /// <summary>Logits within n standard deviations of the largest (Tang et al. 2024).</summary>
    public static void TopNSigma(Candidates candidates, float n)
    {
        if (n <= 0)
        {
            return;
        }

        double mean = 0;
        foreach (float logit in candidates.Logits)
        {
            mean += logit;
        }

        mean /= candidates.Count;
        double variance = 0;
        foreach (float logit in candidates.Logits)
        {
            variance += (logit - mean) * (logit - mean);
        }

        candidates.Weigh();
        candidates.KeepLogitsFrom((float)(candidates.Max - n * Math.Sqrt(variance / candidates.Count)));
    }

    /// <summary>Of the tokens with at least the threshold's probability, removes all but the least likely.</summary>
    public static void ExcludeTopChoices(Candidates candidates, float threshold)
    {
        ReadOnlySpan<float> weights = candidates.Weigh();
        ReadOnlySpan<float> logits = candidates.Logits;
        float last = float.PositiveInfinity;
        int choices = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] >= threshold * candidates.Total)
            {
                choices++;
                last = Math.Min(last, logits[i]);
            }
        }

        if (choices > 1)
        {
            candidates.RemoveAbove(last);
        }
    }
}
