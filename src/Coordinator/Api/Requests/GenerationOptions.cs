using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Compute.ToolCalls;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Models;

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

    /// <summary>Tokens of an answer before it may end by itself.</summary>
    public int MinTokens { get; init; }

    /// <summary>How tokens are chosen, the answer's grammar included; without seed and log-probabilities.</summary>
    public SamplingParameters Sampling { get; init; } = new();

    /// <summary>Null: drawn at random.</summary>
    public long? Seed { get; init; }

    /// <summary>What its choices have emitted, where the answer is kept.</summary>
    public AnswerCourse? Course { get; init; }

    public bool LogProbs { get; init; }
    public int TopLogProbs { get; init; }

    /// <summary>Answers per prompt.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>Higher comes first; not for callers to choose.</summary>
    public int Priority { get; init; }

    /// <summary>The caller's own name for its end user; appears in the request log.</summary>
    public string? User { get; init; }

    /// <summary>The adapters that the request names.</summary>
    public IReadOnlyList<LoraChoice> Lora { get; init; } = [];

    /// <summary>The same as a pipeline is told; null = the model as it is.</summary>
    public IReadOnlyList<GenerationProtocol.AdapterSetting>? Adapters { get; init; }

    /// <summary>With the adapters that it names found among the model's.</summary>
    public GenerationOptions WithAdapters(ServedModel model, Caller caller) => this with { Adapters = LoraFields.Resolve(Lora, model, caller) };

    /// <summary>With calls of tools held to their schemas, where the request asks for it.</summary>
    public GenerationOptions WithTools(ToolRequest tools, ToolFormat format, bool thinks) =>
        tools.Grammar(format, thinks) is { } grammar ? this with { Sampling = Sampling with { Grammar = grammar } } : this;

    /// <summary>Checks what depends on the model.</summary>
    public void RequireVocabulary(int vocabularySize)
    {
        foreach (int token in Sampling.LogitBias.Keys.Where(token => token >= vocabularySize))
        {
            throw ApiError.InvalidValue("logit_bias", $"'logit_bias' names token {token}, but the vocabulary has {vocabularySize} tokens").AsException();
        }
    }

    /// <summary>Takes the fields that both endpoints share; <c>logprobs</c> differs and is left.</summary>
    public static GenerationOptions Read(JsonFields fields)
    {
        JsonElement model = fields.TakeRequired("model");
        bool stream = fields.TakeBool("stream") ?? false;
        int? maxTokens = ReadMaxTokens(fields);
        SamplingParameters sampling = SamplingFields.Read(fields) with { Grammar = GrammarFields.Read(fields) };
        int minTokens = ReadMinTokens(fields, maxTokens);
        if (minTokens > 0 && sampling.Grammar is not null)
        {
            throw ApiError.InvalidValue("min_tokens", "'min_tokens' cannot be combined with a grammar, which says itself where an answer may end").AsException();
        }

        return new GenerationOptions
        {
            Model = JsonFields.Text(model, fields.PathOf("model"), ApiLimits.MaxModelNameLength),
            Stream = stream,
            IncludeUsage = ReadIncludeUsage(fields, stream),
            Stop = ReadStop(fields),
            MaxTokens = maxTokens,
            MinTokens = minTokens,
            Sampling = sampling,
            Seed = fields.TakeInteger("seed", long.MinValue, long.MaxValue),
            Choices = (int)(fields.TakeInteger("n", 1, ApiLimits.MaxChoices) ?? 1),
            User = ReadUser(fields),
            Lora = LoraFields.Read(fields),
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
        if (options.TakeBool("include_obfuscation") == true)
        {
            throw ApiError.InvalidValue("stream_options.include_obfuscation", "'stream_options.include_obfuscation' can only be false: events carry no padding").AsException();
        }

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

    private static int ReadMinTokens(JsonFields fields, int? maxTokens)
    {
        long minTokens = fields.TakeInteger("min_tokens", 0, ApiLimits.MaxTokens) ?? 0;
        return minTokens <= (maxTokens ?? int.MaxValue)
            ? (int)minTokens
            : throw ApiError.InvalidValue("min_tokens", $"'min_tokens' is {minTokens}, more than the {maxTokens} that the answer may have").AsException();
    }

    public static string? ReadUser(JsonFields fields)
    {
        string? user = fields.TakeString("user", ApiLimits.MaxUserLength);
        return user is not null && user.Any(char.IsControl)
            ? throw ApiError.InvalidValue("user", "'user' holds a control character").AsException()
            : user;
    }
}
