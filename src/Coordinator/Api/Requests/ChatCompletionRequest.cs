using System.Collections.Frozen;
using System.Text.Json;

namespace Lamina.Coordinator.Api.Requests;

/// <param name="Role"><c>system</c>, <c>user</c> or <c>assistant</c>; <c>developer</c> is read as <c>system</c>.</param>
internal sealed record ChatMessage(string Role, string Content, string? Name);

/// <summary>Body of <c>POST /v1/chat/completions</c>.</summary>
internal sealed record ChatCompletionRequest(GenerationOptions Options, IReadOnlyList<ChatMessage> Messages)
{
    /// <summary>Fields that OpenAI's API has and this server does not.</summary>
    private static readonly FrozenSet<string> s_unsupported = FrozenSet.Create<string>(
        StringComparer.Ordinal,
        [
            "audio", "function_call", "functions", "metadata", "modalities", "parallel_tool_calls", "prediction",
            "prompt_cache_key", "reasoning_effort", "safety_identifier", "service_tier", "store", "tool_choice", "tools", "verbosity", "web_search_options",
            "chat_template", "chat_template_kwargs", .. SamplingFields.Unsupported,
        ]);

    public static ChatCompletionRequest Parse(ReadOnlyMemory<byte> body)
    {
        using JsonDocument document = JsonFields.Parse(body);
        JsonFields fields = JsonFields.Of(document.RootElement);
        GenerationOptions options = GenerationOptions.Read(fields);
        bool logProbs = fields.TakeBool("logprobs") ?? false;
        long? top = fields.TakeInteger("top_logprobs", 0, ApiLimits.MaxTopLogProbs);
        if (top is not null && !logProbs)
        {
            throw ApiError.InvalidValue("top_logprobs", "'top_logprobs' is allowed only when 'logprobs' is true").AsException();
        }

        IReadOnlyList<ChatMessage> messages = ReadMessages(fields.TakeRequired("messages"));
        fields.RefuseOthers(s_unsupported);
        return new ChatCompletionRequest(options with { LogProbs = logProbs, TopLogProbs = (int)(top ?? 0) }, messages);
    }

    private static ChatMessage[] ReadMessages(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType("messages", "an array", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxMessages)
        {
            throw ApiError.InvalidValue("messages", $"'messages' has {count} entries; 1 to {ApiLimits.MaxMessages} are allowed").AsException();
        }

        return [.. json.EnumerateArray().Select((message, i) => ReadMessage(message, $"messages[{i}]"))];
    }

    private static ChatMessage ReadMessage(JsonElement json, string path)
    {
        JsonFields fields = JsonFields.Of(json, path);
        string role = JsonFields.Text(fields.TakeRequired("role"), fields.PathOf("role"), ApiLimits.MaxNameLength) switch
        {
            "system" or "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            _ => throw ApiError.InvalidValue(fields.PathOf("role"), $"'{fields.PathOf("role")}' must be system, developer, user or assistant").AsException(),
        };
        string content = ReadContent(fields.TakeRequired("content"), fields.PathOf("content"));
        string? name = fields.TakeString("name", ApiLimits.MaxNameLength);
        fields.RefuseOthers();
        return new ChatMessage(role, content, name);
    }

    /// <summary>A string, or text parts, which are joined by line feeds.</summary>
    private static string ReadContent(JsonElement json, string path)
    {
        if (json.ValueKind == JsonValueKind.String)
        {
            return JsonFields.Text(json, path, ApiLimits.MaxBodyBytes);
        }

        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "a string or an array of text parts", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxContentParts)
        {
            throw ApiError.InvalidValue(path, $"'{path}' has {count} parts; 1 to {ApiLimits.MaxContentParts} are allowed").AsException();
        }

        return string.Join('\n', json.EnumerateArray().Select((part, i) => ReadPart(part, $"{path}[{i}]")));
    }

    private static string ReadPart(JsonElement json, string path)
    {
        JsonFields fields = JsonFields.Of(json, path);
        if (JsonFields.Text(fields.TakeRequired("type"), fields.PathOf("type"), ApiLimits.MaxNameLength) != "text")
        {
            throw ApiError.InvalidValue(fields.PathOf("type"), $"'{fields.PathOf("type")}' must be text: this server reads no other parts").AsException();
        }

        string text = JsonFields.Text(fields.TakeRequired("text"), fields.PathOf("text"), ApiLimits.MaxBodyBytes);
        fields.RefuseOthers();
        return text;
    }
}
