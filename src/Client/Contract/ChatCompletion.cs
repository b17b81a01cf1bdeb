using System.Text.Json.Serialization;

namespace Lamina.Client;

/// <summary>A whole answer to a chat.</summary>
public sealed record ChatCompletion
{
    /// <summary>Id of the generation.</summary>
    public string Id { get; init; } = "";

    /// <summary>When it began, seconds since 1970.</summary>
    public long Created { get; init; }

    /// <summary>The model that answered.</summary>
    public string Model { get; init; } = "";

    /// <summary>Names the weights that answered.</summary>
    public string? SystemFingerprint { get; init; }

    /// <summary>The answers, <see cref="ChatRequest.N"/> of them.</summary>
    public IReadOnlyList<ChatChoice> Choices { get; init; } = [];

    /// <summary>Tokens read and written.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>Text of the first answer.</summary>
    [JsonIgnore]
    public string Text => Choices.Count == 0 ? "" : Choices[0].Message?.Content ?? "";
}

/// <summary>One of a chat's answers.</summary>
/// <param name="FinishReason"><c>stop</c>, <c>length</c> or <c>tool_calls</c>.</param>
public sealed record ChatChoice(int Index, Message? Message, string? FinishReason, ChatLogprobs? Logprobs = null);

/// <summary>A piece of a streamed chat answer.</summary>
public sealed record ChatChunk
{
    /// <summary>Id of the generation; the same in all its chunks.</summary>
    public string Id { get; init; } = "";

    /// <summary>When it began, seconds since 1970.</summary>
    public long Created { get; init; }

    /// <summary>The model that answers.</summary>
    public string Model { get; init; } = "";

    /// <summary>Names the weights that answer.</summary>
    public string? SystemFingerprint { get; init; }

    /// <summary>What this chunk adds; empty in the chunk that carries the usage.</summary>
    public IReadOnlyList<ChatDelta> Choices { get; init; } = [];

    /// <summary>Tokens read and written; in the last chunk only.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>Number of the event that carried this chunk, from 1; 0 when the server does not number them. <see cref="LaminaClient.ResumeChatAsync"/> takes it.</summary>
    [JsonIgnore]
    public long EventNumber { get; init; }

    /// <summary>Text that this chunk adds to the first answer.</summary>
    [JsonIgnore]
    public string Text => string.Concat(Choices.Where(choice => choice.Index == 0).Select(choice => choice.Delta?.Content));
}

/// <summary>What a chunk adds to one answer.</summary>
public sealed record ChatDelta(int Index, MessageDelta? Delta, string? FinishReason, ChatLogprobs? Logprobs = null);

/// <summary>What a chunk adds to a message.</summary>
public sealed record MessageDelta(string? Role, string? Content, IReadOnlyList<ToolCallDelta>? ToolCalls = null);

/// <summary>A piece of a function call; the pieces with one <paramref name="Index"/> make one call.</summary>
public sealed record ToolCallDelta(int Index, string? Id, string? Type, FunctionCall? Function);

/// <summary>A function call that the model asks for.</summary>
public sealed record ToolCall(string Id, FunctionCall Function)
{
    /// <summary>Always <c>function</c>.</summary>
    public string Type { get; init; } = "function";
}

/// <summary>Name and arguments (a JSON object as text) of a function call.</summary>
public sealed record FunctionCall(string? Name, string? Arguments);

/// <summary>Log-probabilities of an answer's tokens.</summary>
public sealed record ChatLogprobs(IReadOnlyList<TokenLogprob>? Content);

/// <summary>A token's text, its bytes, its natural log-probability and the likeliest alternatives.</summary>
public sealed record TokenLogprob(string Token, double Logprob, IReadOnlyList<int>? Bytes, IReadOnlyList<TokenLogprob>? TopLogprobs = null);

/// <summary>Tokens that a request read and wrote.</summary>
public sealed record TokenUsage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails? PromptTokensDetails = null);

/// <summary>How many of the prompt's tokens came from the server's prefix cache.</summary>
public sealed record PromptTokensDetails(int CachedTokens);
