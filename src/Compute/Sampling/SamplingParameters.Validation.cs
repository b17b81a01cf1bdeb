using System.Globalization;

namespace Lamina.Compute.Sampling;

public sealed partial record SamplingParameters
{
    public const int MaxTopLogProbs = 64;
    public const int MaxLogitBiases = 1024;
    public const int MaxDryBreakers = 64;

    /// <summary>One sentence per value that is out of range, each naming the property, the value and what is allowed; empty when all is well.</summary>
    public IReadOnlyList<string> Validate()
    {
        List<string> problems = [];
        Range(nameof(Temperature), Temperature, 0, 100);
        Range(nameof(DynamicTemperatureRange), DynamicTemperatureRange, 0, 100);
        Range(nameof(DynamicTemperatureExponent), DynamicTemperatureExponent, 0, 100);
        Range(nameof(TopK), TopK, 0, int.MaxValue);
        Range(nameof(TopP), TopP, 0, 1);
        Range(nameof(MinP), MinP, 0, 1);
        Range(nameof(TypicalP), TypicalP, 0, 1);
        Range(nameof(TopNSigma), TopNSigma, 0, 1000);
        Range(nameof(XtcProbability), XtcProbability, 0, 1);
        Range(nameof(XtcThreshold), XtcThreshold, 0, 1);
        Range(nameof(RepetitionPenalty), RepetitionPenalty, 0.01f, 100);
        Range(nameof(PresencePenalty), PresencePenalty, -100, 100);
        Range(nameof(FrequencyPenalty), FrequencyPenalty, -100, 100);
        Range(nameof(PenaltyWindow), PenaltyWindow, -1, int.MaxValue);
        Range(nameof(DryMultiplier), DryMultiplier, 0, 100);
        Range(nameof(DryBase), DryBase, 1, 100);
        Range(nameof(DryAllowedLength), DryAllowedLength, 1, int.MaxValue);
        Range(nameof(DryWindow), DryWindow, -1, int.MaxValue);
        Range(nameof(Mirostat), Mirostat, 0, 2);
        Range(nameof(MirostatTau), MirostatTau, 0, 100);
        Range(nameof(MirostatEta), MirostatEta, 0, 1);
        Range(nameof(TopLogProbs), TopLogProbs, 0, MaxTopLogProbs);

        if (DryBreakers.Count > MaxDryBreakers || DryBreakers.Any(text => text.Length is 0 or > 64))
        {
            problems.Add($"{nameof(DryBreakers)} must hold at most {MaxDryBreakers} texts of 1 to 64 characters.");
        }

        if (LogitBias.Count > MaxLogitBiases)
        {
            problems.Add($"{nameof(LogitBias)} names {LogitBias.Count} tokens; at most {MaxLogitBiases} are allowed.");
        }

        foreach ((int id, float bias) in LogitBias)
        {
            if (id < 0 || !(Math.Abs(bias) <= 100))
            {
                problems.Add(string.Create(CultureInfo.InvariantCulture, $"{nameof(LogitBias)} of token {id} is {bias}; ids from 0 and biases from -100 to 100 are allowed."));
            }
        }

        if (Order.Distinct().Count() != Order.Count || Order.Any(step => !Enum.IsDefined(step)))
        {
            problems.Add($"{nameof(Order)} must name each step at most once: {string.Join(", ", Enum.GetNames<SamplingStep>())}.");
        }

        return problems;

        void Range(string name, double value, double min, double max)
        {
            // written so that NaN fails
            if (!(value >= min && value <= max))
            {
                problems.Add(string.Create(CultureInfo.InvariantCulture,
                    $"{name} is {value}; it must be {(max == int.MaxValue ? $"at least {min}" : $"between {min} and {max}")}."));
            }
        }
    }
}
