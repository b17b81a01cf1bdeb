using System.Globalization;
using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <summary>What both completion endpoints let a caller choose, checked and with defaults filled in.</summary>
internal sealed record GenerationOptions
{
    public required string Model { get; init; }
    public bool Stream { get; init; }
    public bool IncludeUsage { get; init; }
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Null: the endpoint's default.</summary>
    public int? MaxTokens { get; init; }

    public float Temperature { get; init; } = 1;
    public float TopP { get; init; } = 1;
    public int TopK { get; init; }
    public float MinP { get; init; }
    public float RepetitionPenalty { get; init; } = 1;
    public float PresencePenalty { get; init; }
    public float FrequencyPenalty { get; init; }
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>Null: drawn at random.</summary>
    public long? Seed { get; init; }

    public bool LogProbs { get; init; }
    public int TopLogProbs { get; init; }

    /// <summary>Answers per prompt.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>The caller's own name for its end user; appears in the request log.</summary>
    public string? User { get; init; }

    /// <summary>Checks what depends on the model.</summary>
    public void RequireVocabulary(int vocabularySize)
    {
        foreach (int token in LogitBias.Keys.Where(token => token >= vocabularySize))
        {
            throw ApiError.InvalidValue("logit_bias", $"'logit_bias' names token {token}, but the vocabulary has {vocabularySize} tokens").AsException();
        }
    }

    /// <summary>Takes the fields that both endpoints share; <c>logprobs</c> differs and is left.</summary>
    public static GenerationOptions Read(JsonFields fields)
    {
        JsonElement model = fields.TakeRequired("model");
        bool stream = fields.TakeBool("stream") ?? false;
        return new GenerationOptions
        {
            Model = JsonFields.Text(model, fields.PathOf("model"), ApiLimits.MaxModelNameLength),
            Stream = stream,
            IncludeUsage = ReadIncludeUsage(fields, stream),
            Stop = ReadStop(fields),
            MaxTokens = ReadMaxTokens(fields),
            Temperature = (float)(fields.TakeNumber("temperature", 0, 2) ?? 1),
            TopP = (float)(fields.TakeNumber("top_p", 0, 1) ?? 1),
            TopK = (int)(fields.TakeInteger("top_k", 0, ApiLimits.MaxTopK) ?? 0),
            MinP = (float)(fields.TakeNumber("min_p", 0, 1) ?? 0),
            RepetitionPenalty = (float)(fields.TakeNumber("repetition_penalty", 0.1, 10) ?? 1),
            PresencePenalty = (float)(fields.TakeNumber("presence_penalty", -2, 2) ?? 0),
            FrequencyPenalty = (float)(fields.TakeNumber("frequency_penalty", -2, 2) ?? 0),
            LogitBias = ReadLogitBias(fields),
            Seed = fields.TakeInteger("seed", long.MinValue, long.MaxValue),
            Choices = (int)(fields.TakeInteger("n", 1, ApiLimits.MaxChoices) ?? 1),
            User = ReadUser(fields),
        };
    }

    private static bool ReadIncludeUsage(JsonFields fields, bool stream)
    {
        if (fields.Take("stream_options") is not { } json)
        {
            return false;
        }

        JsonFields options = JsonFields.Of(json, fields.PathOf("stream_options"));
        bool includeUsage = options.TakeBool("include_usage") ?? false;
        options.RefuseOthers();
        return stream ? includeUsage : throw ApiError.InvalidValue("stream_options", "'stream_options' is allowed only when 'stream' is true").AsException();
    }

    private static IReadOnlyList<string> ReadStop(JsonFields fields)
    {
        string path = fields.PathOf("stop");
        switch (fields.Take("stop"))
        {
            case null:
                return [];
            case { ValueKind: JsonValueKind.String } one:
                return [StopText(one, path)];
            case { ValueKind: JsonValueKind.Array } many when many.GetArrayLength() <= ApiLimits.MaxStops:
                return [.. many.EnumerateArray().Select((stop, i) => StopText(stop, $"{path}[{i}]")).Distinct(StringComparer.Ordinal)];
            case { ValueKind: JsonValueKind.Array } many:
                throw ApiError.InvalidValue(path, $"'{path}' has {many.GetArrayLength()} entries; at most {ApiLimits.MaxStops} are allowed").AsException();
            case { } other:
                throw ApiError.InvalidType(path, "a string or an array of strings", JsonFields.Kind(other)).AsException();
        }
    }

    private static string StopText(JsonElement json, string path)
    {
        string text = JsonFields.Text(json, path, ApiLimits.MaxStopLength);
        return text.Length > 0 ? text : throw ApiError.InvalidValue(path, $"'{path}' is empty").AsException();
    }

    private static int? ReadMaxTokens(JsonFields fields)
    {
        long? maxTokens = fields.TakeInteger("max_tokens", 1, ApiLimits.MaxTokens);
        long? maxCompletionTokens = fields.TakeInteger("max_completion_tokens", 1, ApiLimits.MaxTokens);
        return maxTokens is not null && maxCompletionTokens is not null && maxTokens != maxCompletionTokens
            ? throw ApiError.InvalidValue("max_tokens", "'max_tokens' and 'max_completion_tokens' disagree; give one of them").AsException()
            : (int?)(maxTokens ?? maxCompletionTokens);
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

    private static string? ReadUser(JsonFields fields)
    {
        string? user = fields.TakeString("user", ApiLimits.MaxUserLength);
        return user is not null && user.Any(char.IsControl)
            ? throw ApiError.InvalidValue("user", "'user' holds a control character").AsException()
            : user;
    }
}
