using Lamina.Compute.Grammar;

namespace Lamina.Compute.Sampling;

/// <summary>How the next token is chosen. Neutral values switch a step off; the defaults are OpenAI's (plain sampling at temperature 1).</summary>
public sealed partial record SamplingParameters
{
    /// <summary>0 means greedy: the most likely token after bias and penalties, the lowest id among equals.</summary>
    public float Temperature { get; init; } = 1f;

    /// <summary>Above 0 the temperature follows the entropy of the distribution, between temperature − range and temperature + range; 0 = off.</summary>
    public float DynamicTemperatureRange { get; init; }

    /// <summary>Exponent of the normalised entropy in the dynamic temperature.</summary>
    public float DynamicTemperatureExponent { get; init; } = 1f;

    /// <summary>0 = off.</summary>
    public int TopK { get; init; }

    /// <summary>1 = off.</summary>
    public float TopP { get; init; } = 1f;

    /// <summary>0 = off.</summary>
    public float MinP { get; init; }

    /// <summary>Mass of the locally typical set; 1 = off.</summary>
    public float TypicalP { get; init; } = 1f;

    /// <summary>Keeps logits within so many standard deviations of the largest; 0 = off.</summary>
    public float TopNSigma { get; init; }

    /// <summary>Chance, per token, that the top choices are excluded; 0 = off.</summary>
    public float XtcProbability { get; init; }

    /// <summary>Probability from which a token counts as a top choice; above 0.5 the step has no effect.</summary>
    public float XtcThreshold { get; init; } = 0.1f;

    /// <summary>1 = off. Divides positive and multiplies negative logits of tokens in the window.</summary>
    public float RepetitionPenalty { get; init; } = 1f;

    /// <summary>Subtracted once from the logit of a token in the window; 0 = off.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from the logit of a token in the window for each time it stands there; 0 = off.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Tokens of history that penalties look at; -1 = all.</summary>
    public int PenaltyWindow { get; init; } = 64;

    /// <summary>0 = off. A token that would prolong a repeat of n tokens loses multiplier · base^(n − allowed length).</summary>
    public float DryMultiplier { get; init; }

    public float DryBase { get; init; } = 1.75f;

    /// <summary>Shortest repeat, in tokens, that is penalised.</summary>
    public int DryAllowedLength { get; init; } = 2;

    /// <summary>Tokens of history in which repeats are sought; -1 = all.</summary>
    public int DryWindow { get; init; } = -1;

    /// <summary>A token whose text contains one of these ends a repeat.</summary>
    public IReadOnlyList<string> DryBreakers { get; init; } = DefaultDryBreakers;

    /// <summary>0 = off; 1 and 2 replace the truncating steps by mirostat's control of surprise.</summary>
    public int Mirostat { get; init; }

    /// <summary>Surprise aimed at, in bits.</summary>
    public float MirostatTau { get; init; } = 5f;

    /// <summary>Learning rate.</summary>
    public float MirostatEta { get; init; } = 0.1f;

    /// <summary>Added to the logits of these tokens before anything else.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = NoBias;

    /// <summary>What the answer must match; null = anything.</summary>
    public GrammarSource? Grammar { get; init; }

    /// <summary>Steps in the order they are applied; a step that is left out does nothing.</summary>
    public IReadOnlyList<SamplingStep> Order { get; init; } = DefaultOrder;

    /// <summary>The random number of a token is a function of (seed, position) alone.</summary>
    public ulong Seed { get; init; }

    /// <summary>Most likely tokens to report per step, with log-probabilities of the raw distribution; 0 = none.</summary>
    public int TopLogProbs { get; init; }

    /// <summary>Whether the chosen token's own log-probability is computed. Mirostat always computes it.</summary>
    public bool LogProbs { get; init; }

    public static IReadOnlyList<string> DefaultDryBreakers { get; } = ["\n", ":", "\"", "*"];

    /// <summary>The order of llama.cpp, so that the same settings mean the same.</summary>
    public static IReadOnlyList<SamplingStep> DefaultOrder { get; } =
    [
        SamplingStep.Penalties, SamplingStep.Dry, SamplingStep.TopNSigma, SamplingStep.TopK, SamplingStep.Typical,
        SamplingStep.TopP, SamplingStep.MinP, SamplingStep.Xtc, SamplingStep.Temperature,
    ];

    private static readonly Dictionary<int, float> NoBias = [];
}
