using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Grammar;
using Lamina.Coordinator.Api.Requests;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>Body of <c>POST /v1/responses</c>.</summary>
/// <param name="Conversation">Without what a previous response adds in front.</param>
/// <param name="Input">The input's items as they came, each with an id.</param>
/// <param name="Echo">What the response says of its own request.</param>
/// <param name="Store">Null: kept where anything is kept.</param>
internal sealed record ResponsesRequest(
    GenerationOptions Options, ChatConversation Conversation, IReadOnlyList<JsonObject> Input, ResponseEcho Echo, string? Instructions, string? PreviousResponseId, bool? Store)
{
    private const int MaxIdLength = 128;

    /// <summary>Fields that OpenAI's API has and this server does not.</summary>
    private static readonly FrozenSet<string> s_unsupported = FrozenSet.Create(StringComparer.Ordinal, "context_management", "conversation", "moderation", "prompt");

    public static ResponsesRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        string model = JsonFields.Text(fields.TakeRequired("model"), "model", ApiLimits.MaxModelNameLength);
        (ChatMessage[] messages, JsonObject[] items) = ResponseInput.Read(fields.TakeRequired("input"), "input");
        string? instructions = fields.TakeString("instructions", ApiLimits.MaxBodyBytes);
        var echo = new ResponseEcho { Instructions = instructions };
        if (fields.Peek("tools") is { } given && given.ValueKind == JsonValueKind.Array && given.GetArrayLength() == 0)
        {
            _ = fields.Take("tools");
        }

        echo = echo with { Tools = Copy(fields, "tools"), ToolChoice = Copy(fields, "tool_choice"), ParallelToolCalls = PeekBool(fields, "parallel_tool_calls") ?? true };
        ToolRequest tools = fields.Peek("tools") is null ? WithoutTools(fields) : ToolFields.Read(fields, flat: true);
        (GrammarSource? format, JsonNode? formatEcho) = ReadText(fields);
        ReadReasoning(fields, out string? effort, out string? summary);
        bool stream = fields.TakeBool("stream") ?? false;
        ReadStreamOptions(fields, stream);
        long? maxTokens = fields.TakeInteger("max_output_tokens", 1, ApiLimits.MaxTokens);
        long? maxToolCalls = fields.TakeInteger("max_tool_calls", 1, ApiLimits.MaxTokens);
        long top = fields.TakeInteger("top_logprobs", 0, ApiLimits.MaxTopLogProbs) ?? 0;
        bool includeLogProbs = ReadInclude(fields) || top > 0;
        string? previous = fields.TakeString("previous_response_id", MaxIdLength);
        bool? store = fields.TakeBool("store");
        RefuseTrue(fields, "background", "responses are made while the caller waits");
        Only(fields, "truncation", "disabled");
        echo = echo with
        {
            Metadata = AcceptedFields.ReadMetadata(fields) ?? new Dictionary<string, string>(),
            PromptCacheKey = PeekString(fields, "prompt_cache_key"),
            SafetyIdentifier = PeekString(fields, "safety_identifier"),
        };
        _ = AcceptedFields.Read(fields);
        GenerationOptions options = new()
        {
            Model = model,
            Stream = stream,
            MaxTokens = (int?)maxTokens,
            Sampling = SamplingFields.Read(fields),
            Seed = fields.TakeInteger("seed", long.MinValue, long.MaxValue),
            User = GenerationOptions.ReadUser(fields),
            LogProbs = includeLogProbs,
            TopLogProbs = (int)top,
            Lora = LoraFields.Read(fields),
        };
        JsonObject? variables = ChatConversation.ReadVariables(fields);
        fields.RefuseOthers(s_unsupported);
        if (tools.Use != ToolUse.None && format is not null)
        {
            throw ApiError.InvalidValue("tools", "'tools' cannot be combined with 'text.format': calls of tools have a form of their own").AsException();
        }

        options = options with { Sampling = options.Sampling with { Grammar = format } };
        return new ResponsesRequest(
            options, new ChatConversation(messages, tools, variables) { ReasoningEffort = effort, EffortField = "reasoning.effort" }, items,
            echo with
            {
                Format = formatEcho, Effort = effort, Summary = summary, MaxOutputTokens = maxTokens, MaxToolCalls = maxToolCalls, TopLogProbs = (int)top, User = options.User,
                Temperature = options.Sampling.Temperature, TopP = options.Sampling.TopP, PreviousResponseId = previous,
            },
            instructions, previous, store);
    }

    /// <summary>A choice without tools means nothing, unless it chooses none.</summary>
    private static ToolRequest WithoutTools(JsonFields fields)
    {
        _ = fields.TakeBool("parallel_tool_calls");
        JsonElement? choice = fields.Take("tool_choice");
        return choice is null || (choice is { ValueKind: JsonValueKind.String } text && (text.ValueEquals("none") || text.ValueEquals("auto")))
            ? ToolRequest.Nothing
            : throw ApiError.InvalidValue("tool_choice", "'tool_choice' is allowed only with 'tools'").AsException();
    }

    private static (GrammarSource? Source, JsonNode? Echo) ReadText(JsonFields fields)
    {
        if (fields.Take("text") is not { } json)
        {
            return (null, null);
        }

        JsonFields text = JsonFields.Of(json, "text");
        Only(text, "verbosity", "medium");
        GrammarSource? source = null;
        JsonNode? echo = null;
        if (text.Take("format") is { } given)
        {
            echo = JsonFields.Node(given, "text.format");
            JsonFields format = JsonFields.Of(given, "text.format");
            source = JsonFields.Text(format.TakeRequired("type"), "text.format.type", ApiLimits.MaxNameLength) switch
            {
                "text" => null,
                "json_object" => new GrammarSource(GrammarKind.JsonObject, ""),
                "json_schema" => GrammarFields.ReadSchema(format),
                _ => throw ApiError.InvalidValue("text.format.type", "'text.format.type' must be text, json_object or json_schema").AsException(),
            };
            format.RefuseOthers();
        }

        text.RefuseOthers();
        return (source is null ? null : GrammarFields.Compiled(source, "text.format"), echo);
    }

    private static void ReadReasoning(JsonFields fields, out string? effort, out string? summary)
    {
        (effort, summary) = (null, null);
        if (fields.Take("reasoning") is not { } json)
        {
            return;
        }

        JsonFields reasoning = JsonFields.Of(json, "reasoning");
        effort = ChatConversation.ReadEffort(reasoning, "effort");
        summary = Only(reasoning, "summary", "auto", "concise", "detailed") ?? Only(reasoning, "generate_summary", "auto", "concise", "detailed");
        reasoning.RefuseOthers();
    }

    private static void ReadStreamOptions(JsonFields fields, bool stream)
    {
        if (fields.Take("stream_options") is not { } json)
        {
            return;
        }

        JsonFields options = JsonFields.Of(json, "stream_options");
        RefuseTrue(options, "include_obfuscation", "events carry no padding");
        options.RefuseOthers();
        if (!stream)
        {
            throw ApiError.InvalidValue("stream_options", "'stream_options' is allowed only when 'stream' is true").AsException();
        }
    }

    /// <returns>Whether the log-probabilities of the text are wanted.</returns>
    private static bool ReadInclude(JsonFields fields)
    {
        const string LogProbs = "message.output_text.logprobs";
        string[] wanted = SamplingFields.ReadTexts(fields, "include", 8, ApiLimits.MaxNameLength) ?? [];
        int unknown = Array.FindIndex(wanted, name => name != LogProbs);
        return unknown < 0
            ? wanted.Length > 0
            : throw ApiError.InvalidValue($"include[{unknown}]", $"'include[{unknown}]' must be {LogProbs}: this server has nothing else to include").AsException();
    }

    private static void RefuseTrue(JsonFields fields, string name, string why)
    {
        if (fields.TakeBool(name) == true)
        {
            throw ApiError.InvalidValue(fields.PathOf(name), $"'{fields.PathOf(name)}' can only be false: {why}").AsException();
        }
    }

    private static string? Only(JsonFields fields, string name, params string[] allowed)
    {
        string? value = fields.TakeString(name, ApiLimits.MaxNameLength);
        return value is null || allowed.Contains(value)
            ? value
            : throw ApiError.InvalidValue(fields.PathOf(name), $"'{fields.PathOf(name)}' must be {string.Join(" or ", allowed)}").AsException();
    }

    private static JsonNode? Copy(JsonFields fields, string name) => fields.Peek(name) is { } json ? JsonFields.Node(json, name) : null;

    private static string? PeekString(JsonFields fields, string name) => fields.Peek(name) is { ValueKind: JsonValueKind.String } text ? JsonFields.Text(text, name, ApiLimits.MaxBodyBytes) : null;

    private static bool? PeekBool(JsonFields fields, string name) => fields.Peek(name)?.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => null };
}
