using System.Runtime.Intrinsics;

namespace Lamina.Compute.Sampling;

/// <summary>Finds the few largest logits of a row by insertion.</summary>
internal static class TopTokens
{
    /// <summary>Fills <paramref name="top"/> with index and logit − <paramref name="logNormalizer"/>, best first, the lower index among equals; entries beyond the row get id −1.</summary>
    public static void Find(ReadOnlySpan<float> logits, double logNormalizer, Span<TokenLogProb> top)
    {
        top.Fill(new TokenLogProb(-1, float.NegativeInfinity));
        if (top.IsEmpty)
        {
            return;
        }

        int count = 0;
        for (int i = 0; i < logits.Length;)
        {
            // most of a row is below the worst of the best: eight at a time
            while (count == top.Length && i <= logits.Length - Vector256<float>.Count
                && !Vector256.GreaterThanAny(Vector256.Create(logits[i..]), Vector256.Create(top[^1].LogProb)))
            {
                i += Vector256<float>.Count;
            }

            int end = Math.Min(i + Vector256<float>.Count, logits.Length);
            for (; i < end; i++)
            {
                if (count < top.Length || logits[i] > top[^1].LogProb)
                {
                    Insert(top, ref count, new TokenLogProb(i, logits[i]));
                }
            }
        }

        foreach (ref TokenLogProb entry in top[..count])
        {
            entry = entry with { LogProb = (float)(entry.LogProb - logNormalizer) };
        }
    }

    private static void Insert(Span<TokenLogProb> top, ref int count, TokenLogProb entry)
    {
        int place = count < top.Length ? count++ : count - 1;
        while (place > 0 && top[place - 1].LogProb < entry.LogProb)
        {
            top[place] = top[place - 1];
            place--;
        }

        top[place] = entry;
    }
}
