namespace Lamina.Compute.Sampling;

/// <summary>How the next token is chosen. Neutral values switch a step off; the defaults are OpenAI's (plain sampling at temperature 1).</summary>
public sealed record SamplingParameters
{
    /// <summary>0 means greedy: the most likely token, the lowest id among equals.</summary>
    public float Temperature { get; init; } = 1f;

    /// <summary>0 = off.</summary>
    public int TopK { get; init; }

    /// <summary>1 = off.</summary>
    public float TopP { get; init; } = 1f;

    /// <summary>0 = off.</summary>
    public float MinP { get; init; }

    /// <summary>1 = off.</summary>
    public float RepetitionPenalty { get; init; } = 1f;

    /// <summary>Tokens of history that penalties look at; -1 = all.</summary>
    public int PenaltyWindow { get; init; } = 64;

    /// <summary>The random number of a token is a function of (seed, position) alone.</summary>
    public ulong Seed { get; init; }

    /// <summary>Most likely tokens to report per step, with log-probabilities of the raw distribution; 0 = none.</summary>
    public int TopLogProbs { get; init; }

    /// <summary>Whether the chosen token's own log-probability is computed.</summary>
    public bool LogProbs { get; init; }
}
