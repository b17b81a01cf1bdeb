using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>What a response repeats of its request, with the defaults filled in.</summary>
internal sealed record ResponseEcho
{
    public string? Instructions { get; init; }
    public JsonNode? Tools { get; init; }
    public JsonNode? ToolChoice { get; init; }
    public bool ParallelToolCalls { get; init; }
    public JsonNode? Format { get; init; }
    public string? Effort { get; init; }
    public string? Summary { get; init; }
    public long? MaxOutputTokens { get; init; }
    public long? MaxToolCalls { get; init; }
    public int TopLogProbs { get; init; }
    public float Temperature { get; init; }
    public float TopP { get; init; }
    public string? PreviousResponseId { get; init; }
    public string? PromptCacheKey { get; init; }
    public string? SafetyIdentifier { get; init; }
    public string? User { get; init; }
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
    public bool Store { get; init; }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteBoolean("background", false);
        json.WriteString("instructions", Instructions);
        WriteNumber(json, "max_output_tokens", MaxOutputTokens);
        WriteNumber(json, "max_tool_calls", MaxToolCalls);
        json.WriteStartObject("metadata");
        foreach ((string name, string value) in Metadata)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WriteBoolean("parallel_tool_calls", ParallelToolCalls);
        json.WriteString("previous_response_id", PreviousResponseId);
        json.WriteString("prompt_cache_key", PromptCacheKey);
        json.WriteStartObject("reasoning");
        json.WriteString("effort", Effort);
        json.WriteString("summary", Summary);
        json.WriteEndObject();
        json.WriteString("safety_identifier", SafetyIdentifier);
        json.WriteString("service_tier", "default");
        json.WriteBoolean("store", Store);
        json.WriteNumber("temperature", Temperature);
        json.WriteStartObject("text");
        WriteNode(json, "format", Format ?? new JsonObject { ["type"] = "text" });
        json.WriteString("verbosity", "medium");
        json.WriteEndObject();
        WriteNode(json, "tool_choice", ToolChoice ?? "auto");
        WriteNode(json, "tools", Tools ?? new JsonArray());
        json.WriteNumber("top_logprobs", TopLogProbs);
        json.WriteNumber("top_p", TopP);
        json.WriteString("truncation", "disabled");
        json.WriteString("user", User);
    }

    private static void WriteNode(Utf8JsonWriter json, string name, JsonNode value)
    {
        json.WritePropertyName(name);
        value.WriteTo(json);
    }

    private static void WriteNumber(Utf8JsonWriter json, string name, long? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
