namespace Lamina.Compute.Sampling;

/// <summary>Repetition, presence and frequency penalties over the last tokens. Owns a count per token, all zero between calls.</summary>
internal sealed class Penalties(int vocabularySize)
{
    private readonly int[] _counts = new int[vocabularySize];

    public static bool AreActive(SamplingParameters parameters) =>
        parameters.PenaltyWindow != 0
        && (parameters.RepetitionPenalty != 1 || parameters.PresencePenalty != 0 || parameters.FrequencyPenalty != 0);

    public void Apply(Candidates candidates, ReadOnlySpan<int> history, SamplingParameters parameters)
    {
        int window = parameters.PenaltyWindow;
        ReadOnlySpan<int> recent = window < 0 || window > history.Length ? history : history[^window..];
        foreach (int id in recent)
        {
            if ((uint)id < (uint)_counts.Length)
            {
                _counts[id]++;
            }
        }

        foreach (int id in recent)
        {
            if ((uint)id >= (uint)_counts.Length || _counts[id] == 0)
            {
                continue;
            }

            int index = candidates.IndexOf(id);
            if (index >= 0)
            {
                float logit = candidates.Logits[index];
                logit = logit > 0 ? logit / parameters.RepetitionPenalty : logit * parameters.RepetitionPenalty;
                candidates.SetLogit(index, logit - _counts[id] * parameters.FrequencyPenalty - parameters.PresencePenalty);
            }

            _counts[id] = 0;
        }
    }
}
