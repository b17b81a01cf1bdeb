using System.Globalization;
using System.Text.Json;
using Lamina.Compute.Sampling;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>The fields that say how tokens are chosen: OpenAI's own and, under the names of llama.cpp and vLLM, the others that the sampler knows.</summary>
internal static class SamplingFields
{
    /// <summary>llama.cpp's names of the sampler's steps.</summary>
    private static readonly Dictionary<string, SamplingStep> s_steps = new(StringComparer.Ordinal)
    {
        ["penalties"] = SamplingStep.Penalties,
        ["dry"] = SamplingStep.Dry,
        ["top_n_sigma"] = SamplingStep.TopNSigma,
        ["top_k"] = SamplingStep.TopK,
        ["typ_p"] = SamplingStep.Typical,
        ["top_p"] = SamplingStep.TopP,
        ["min_p"] = SamplingStep.MinP,
        ["xtc"] = SamplingStep.Xtc,
        ["temperature"] = SamplingStep.Temperature,
    };

    /// <summary>Seed and log-probabilities are the caller's to add.</summary>
    public static SamplingParameters Read(JsonFields fields)
    {
        var neutral = new SamplingParameters();
        return neutral with
        {
            Temperature = Number("temperature", 0, 2, neutral.Temperature),
            DynamicTemperatureRange = Number("dynatemp_range", 0, 2, neutral.DynamicTemperatureRange),
            DynamicTemperatureExponent = Number("dynatemp_exponent", 0, 10, neutral.DynamicTemperatureExponent),
            TopK = Integer("top_k", 0, ApiLimits.MaxTopK, neutral.TopK),
            TopP = Number("top_p", 0, 1, neutral.TopP),
            MinP = Number("min_p", 0, 1, neutral.MinP),
            TypicalP = Number("typical_p", 0, 1, neutral.TypicalP),
            TopNSigma = Number("top_n_sigma", 0, 100, neutral.TopNSigma),
            XtcProbability = Number("xtc_probability", 0, 1, neutral.XtcProbability),
            XtcThreshold = Number("xtc_threshold", 0, 1, neutral.XtcThreshold),
            RepetitionPenalty = ReadRepetitionPenalty(fields) ?? neutral.RepetitionPenalty,
            Mirostat = Integer("mirostat", 0, 2, neutral.Mirostat),
            MirostatTau = Number("mirostat_tau", 0, 100, neutral.MirostatTau),
            MirostatEta = Number("mirostat_eta", 0, 1, neutral.MirostatEta),
            PresencePenalty = Number("presence_penalty", -2, 2, neutral.PresencePenalty),
            FrequencyPenalty = Number("frequency_penalty", -2, 2, neutral.FrequencyPenalty),
            PenaltyWindow = Integer("repeat_last_n", -1, ApiLimits.MaxTokens, neutral.PenaltyWindow),
            DryMultiplier = Number("dry_multiplier", 0, 10, neutral.DryMultiplier),
            DryBase = Number("dry_base", 1, 10, neutral.DryBase),
            DryAllowedLength = Integer("dry_allowed_length", 1, ApiLimits.MaxTokens, neutral.DryAllowedLength),
            DryWindow = Integer("dry_penalty_last_n", -1, ApiLimits.MaxTokens, neutral.DryWindow),
            DryBreakers = ReadTexts(fields, "dry_sequence_breakers", SamplingParameters.MaxDryBreakers, ApiLimits.MaxStopLength) ?? neutral.DryBreakers,
            LogitBias = ReadLogitBias(fields),
            Order = ReadOrder(fields) ?? neutral.Order,
        };

        float Number(string name, double min, double max, float absent) => (float)(fields.TakeNumber(name, min, max) ?? absent);

        int Integer(string name, long min, long max, int absent) => (int)(fields.TakeInteger(name, min, max) ?? absent);
    }

    /// <summary>vLLM's name or llama.cpp's.</summary>
    private static float? ReadRepetitionPenalty(JsonFields fields)
    {
        double? one = fields.TakeNumber("repetition_penalty", 0.1, 10), other = fields.TakeNumber("repeat_penalty", 0.1, 10);
        return one is not null && other is not null && one != other
            ? throw ApiError.InvalidValue("repeat_penalty", "'repeat_penalty' and 'repetition_penalty' disagree; give one of them").AsException()
            : (float?)(one ?? other);
    }

    /// <summary>An array of texts, none of them empty; null when absent.</summary>
    public static string[]? ReadTexts(JsonFields fields, string name, int maxCount, int maxLength)
    {
        if (fields.Take(name) is not { } json)
        {
            return null;
        }

        string path = fields.PathOf(name);
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "an array of strings", JsonFields.Kind(json)).AsException();
        }

        if (json.GetArrayLength() > maxCount)
        {
            throw ApiError.InvalidValue(path, $"'{path}' has {json.GetArrayLength()} entries; at most {maxCount} are allowed").AsException();
        }

        string[] texts = [.. json.EnumerateArray().Select((text, i) => JsonFields.Text(text, $"{path}[{i}]", maxLength))];
        int empty = Array.IndexOf(texts, "");
        return empty < 0 ? texts : throw ApiError.InvalidValue($"{path}[{empty}]", $"'{path}[{empty}]' is empty").AsException();
    }

    private static SamplingStep[]? ReadOrder(JsonFields fields)
    {
        string path = fields.PathOf("samplers");
        if (ReadTexts(fields, "samplers", s_steps.Count, ApiLimits.MaxNameLength) is not { } names)
        {
            return null;
        }

        SamplingStep[] order = [.. names.Select((name, i) => s_steps.TryGetValue(name, out SamplingStep step)
            ? step
            : throw ApiError.InvalidValue($"{path}[{i}]", $"'{path}[{i}]' must be one of {string.Join(", ", s_steps.Keys)}").AsException())];
        return order.Distinct().Count() == order.Length
            ? order
            : throw ApiError.InvalidValue(path, $"'{path}' names a step twice").AsException();
    }

    /// <summary>Token ids as text to numbers from -100 to 100, as OpenAI writes it; ids are compared with the vocabulary later.</summary>
    private static Dictionary<int, float> ReadLogitBias(JsonFields fields)
    {
        var biases = new Dictionary<int, float>();
        if (fields.Take("logit_bias") is not { } json)
        {
            return biases;
        }

        JsonFields entries = JsonFields.Of(json, fields.PathOf("logit_bias"));
        if (entries.Names.Count > ApiLimits.MaxLogitBiases)
        {
            throw ApiError.InvalidValue("logit_bias", $"'logit_bias' has {entries.Names.Count} entries; at most {ApiLimits.MaxLogitBiases} are allowed").AsException();
        }

        foreach (string name in entries.Names.ToArray())
        {
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int token))
            {
                throw ApiError.InvalidValue("logit_bias", "'logit_bias' has a name that is not a token id").AsException();
            }

            biases[token] = (float)(entries.TakeNumber(name, -100, 100) ?? throw ApiError.InvalidType(entries.PathOf(name), "a number", "null").AsException());
        }

        return biases;
    }
}
