using System.Text.Json.Serialization;

namespace Lamina.Client;

/// <summary>A text to continue, without a chat template. Null fields take the server's defaults.</summary>
public sealed record CompletionRequest
{
    /// <summary>Name of a served model.</summary>
    public string Model { get; init; } = "";

    /// <summary>The text to continue.</summary>
    public string Prompt { get; init; } = "";

    /// <summary>Most tokens to generate; the server's default is 16.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>0 (greedy) to 2.</summary>
    public float? Temperature { get; init; }

    /// <summary>Samples from the likeliest tokens whose probabilities sum to this, 0 to 1.</summary>
    public float? TopP { get; init; }

    /// <summary>Samples from this many likeliest tokens; 0 = all.</summary>
    public int? TopK { get; init; }

    /// <summary>Drops tokens less likely than this share of the likeliest one, 0 to 1.</summary>
    public float? MinP { get; init; }

    /// <summary>The same seed and request give the same answer.</summary>
    public long? Seed { get; init; }

    /// <summary>Texts before which an answer ends, at most four.</summary>
    public IReadOnlyList<string>? Stop { get; init; }

    /// <summary>-2 to 2; above zero makes tokens less likely the oftener they came.</summary>
    public float? FrequencyPenalty { get; init; }

    /// <summary>-2 to 2; above zero makes tokens that came less likely.</summary>
    public float? PresencePenalty { get; init; }

    /// <summary>Divides the logits of tokens that came; 1 = off.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Answers to generate side by side.</summary>
    public int? N { get; init; }

    /// <summary>The caller's own name for its end user; appears in the server's request log.</summary>
    public string? User { get; init; }

    [JsonInclude]
    internal bool? Stream { get; init; }

    [JsonInclude]
    internal StreamOptions? StreamOptions { get; init; }
}

/// <summary>A whole answer, or a piece of a streamed one.</summary>
public sealed record Completion
{
    /// <summary>Id of the generation.</summary>
    public string Id { get; init; } = "";

    /// <summary>When it began, seconds since 1970.</summary>
    public long Created { get; init; }

    /// <summary>The model that answers.</summary>
    public string Model { get; init; } = "";

    /// <summary>The answers, or what this piece adds to them.</summary>
    public IReadOnlyList<CompletionChoice> Choices { get; init; } = [];

    /// <summary>Tokens read and written; of a stream, in the last piece only.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>Number of the event that carried this piece, from 1; 0 for a whole answer.</summary>
    [JsonIgnore]
    public long EventNumber { get; init; }

    /// <summary>Text of the first answer.</summary>
    [JsonIgnore]
    public string Text => string.Concat(Choices.Where(choice => choice.Index == 0).Select(choice => choice.Text));
}

/// <summary>One answer.</summary>
/// <param name="FinishReason"><c>stop</c> or <c>length</c>; null while it goes on.</param>
public sealed record CompletionChoice(int Index, string? Text, string? FinishReason);
