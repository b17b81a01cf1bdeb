namespace Lamina.Compute.Sampling;

/// <summary>
/// Mirostat (Basu et al. 2020): steers the surprise of the text towards tau. Its state mu is folded anew from the log-probabilities of the tokens emitted
/// so far, so that a resumed generation has it too; surprise is that of the raw distribution, as in the paper.
/// </summary>
internal static class Mirostat
{
    /// <summary>Most likely tokens from which version 1 estimates the exponent of Zipf's law.</summary>
    private const int ZipfTokens = 100;

    /// <summary>mu after the given tokens; it starts at 2·tau.</summary>
    public static double Mu(ReadOnlySpan<float> emittedLogProbs, SamplingParameters parameters)
    {
        double mu = 2.0 * parameters.MirostatTau;
        foreach (float logProb in emittedLogProbs)
        {
            mu -= parameters.MirostatEta * (-logProb / Math.Log(2) - parameters.MirostatTau);
        }

        return mu;
    }

    /// <summary>Version 2: drops tokens with more surprise than mu.</summary>
    public static void KeepSurpriseUpTo(Candidates candidates, double mu)
    {
        candidates.Weigh();
        double logit = candidates.Max + Math.Log(candidates.Total) - mu * Math.Log(2);
        candidates.KeepLogitsFrom((float)Math.Min(candidates.Max, logit));
    }

    /// <summary>Version 1: top-k with the k that Zipf's law gives for mu.</summary>
    public static void KeepZipf(Candidates candidates, double mu, int vocabularySize, Span<TokenLogProb> workspace)
    {
        ReadOnlySpan<float> logits = candidates.Logits;
        Span<TokenLogProb> top = workspace[..Math.Min(ZipfTokens, logits.Length)];
        TopTokens.Find(logits, 0, top);
        double product = 0, square = 0;
        for (int i = 0; i + 1 < top.Length; i++)
        {
            double t = Math.Log((i + 2.0) / (i + 1.0));
            product += t * (top[i].LogProb - top[i + 1].LogProb);
            square += t * t;
        }

        double exponent = square > 0 ? product / square : 0;
        double epsilon = exponent - 1;
        double k = Math.Pow(epsilon * Math.Pow(2, mu) / (1 - Math.Pow(vocabularySize, -epsilon)), 1 / exponent);

        // a flat head gives exponents for which the formula has no value: nothing is cut then
        candidates.KeepTop(double.IsFinite(k) ? (int)Math.Clamp(k, 1, candidates.Count) : candidates.Count);
    }

    public static TokenLogProb[] Workspace() => new TokenLogProb[ZipfTokens];
}
