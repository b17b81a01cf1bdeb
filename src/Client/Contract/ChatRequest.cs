using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Client;

/// <summary>A chat to complete. Null fields take the server's defaults; a field that the server does not support is refused by name, never ignored.</summary>
public sealed record ChatRequest
{
    /// <summary>Name of a served model.</summary>
    public string Model { get; init; } = "";

    /// <summary>The conversation so far, oldest first, at least one message.</summary>
    public IReadOnlyList<Message> Messages { get; init; } = [];

    /// <summary>Most tokens to generate; null: as many as the context holds.</summary>
    [JsonPropertyName("max_completion_tokens")]
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

    /// <summary>Added to logits, by token id as text, -100 to 100.</summary>
    public IReadOnlyDictionary<string, float>? LogitBias { get; init; }

    /// <summary>Whether answers carry each token's log-probability.</summary>
    public bool? Logprobs { get; init; }

    /// <summary>How many likeliest alternatives come with each token's log-probability; needs <see cref="Logprobs"/>.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Answers to generate side by side.</summary>
    public int? N { get; init; }

    /// <summary>Functions that the model may call.</summary>
    public IReadOnlyList<ToolDefinition>? Tools { get; init; }

    /// <summary><c>"auto"</c>, <c>"none"</c>, <c>"required"</c>, or an object naming one function: see <see cref="Client.ToolChoice"/>.</summary>
    public JsonElement? ToolChoice { get; init; }

    /// <summary>Whether the model may call several functions at once.</summary>
    public bool? ParallelToolCalls { get; init; }

    /// <summary>Shape that the answer must have.</summary>
    public ResponseFormat? ResponseFormat { get; init; }

    /// <summary>The caller's own name for its end user; appears in the server's request log.</summary>
    public string? User { get; init; }

    [JsonInclude]
    internal bool? Stream { get; init; }

    [JsonInclude]
    internal StreamOptions? StreamOptions { get; init; }
}

internal sealed record StreamOptions(bool IncludeUsage);

/// <summary>One message of a conversation.</summary>
/// <param name="Role"><c>system</c>, <c>user</c>, <c>assistant</c> or <c>tool</c>.</param>
/// <param name="Content">Its text; null for an assistant's message that only calls tools.</param>
public sealed record Message(string Role, string? Content)
{
    /// <summary>Name of who speaks, where a template shows it.</summary>
    public string? Name { get; init; }

    /// <summary>The calls that an assistant's message makes.</summary>
    public IReadOnlyList<ToolCall>? ToolCalls { get; init; }

    /// <summary>Which call a <c>tool</c> message answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>A message of the person who asks.</summary>
    public static Message User(string content) => new("user", content);

    /// <summary>A message that sets how the model behaves.</summary>
    public static Message System(string content) => new("system", content);

    /// <summary>An earlier answer of the model.</summary>
    public static Message Assistant(string content) => new("assistant", content);
}

/// <summary>A function that a model may call.</summary>
public sealed record ToolDefinition(FunctionDefinition Function)
{
    /// <summary>Always <c>function</c>.</summary>
    public string Type { get; init; } = "function";
}

/// <summary>Name, purpose and JSON schema of the arguments of a function.</summary>
public sealed record FunctionDefinition(string Name, string? Description, JsonElement? Parameters)
{
    /// <summary>Whether arguments must follow the schema exactly.</summary>
    public bool? Strict { get; init; }
}

/// <summary>Values of <see cref="ChatRequest.ToolChoice"/>.</summary>
public static class ToolChoice
{
    /// <summary>The model decides.</summary>
    public static JsonElement Auto { get; } = Parse("\"auto\"");

    /// <summary>No calls.</summary>
    public static JsonElement None { get; } = Parse("\"none\"");

    /// <summary>At least one call.</summary>
    public static JsonElement Required { get; } = Parse("\"required\"");

    /// <summary>A call of this function.</summary>
    public static JsonElement Function(string name) => Parse($$$"""{"type":"function","function":{"name":"{{{JsonEncodedText.Encode(name)}}}"}}""");

    private static JsonElement Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}

/// <summary>Shape of an answer: text, any JSON object, or JSON of a schema.</summary>
/// <param name="Type"><c>text</c>, <c>json_object</c> or <c>json_schema</c>.</param>
public sealed record ResponseFormat(string Type, ResponseSchema? JsonSchema = null)
{
    /// <summary>Any JSON object.</summary>
    public static ResponseFormat JsonObject { get; } = new("json_object");

    /// <summary>JSON that follows a schema.</summary>
    public static ResponseFormat Schema(string name, JsonElement schema, string? description = null) => new("json_schema", new ResponseSchema(name, schema, true, description));
}

/// <summary>A named JSON schema for an answer.</summary>
public sealed record ResponseSchema(string Name, JsonElement Schema, bool Strict, string? Description = null);
