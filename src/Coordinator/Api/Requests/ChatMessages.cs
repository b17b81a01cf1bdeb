using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Coordinator.Api.Requests;

/// <param name="Role"><c>system</c>, <c>user</c>, <c>assistant</c> or <c>tool</c>; <c>developer</c> is read as <c>system</c>.</param>
/// <param name="Content">Null only beside calls of tools.</param>
internal sealed record ChatMessage(string Role, string? Content, string? Name)
{
    /// <summary>Of an assistant: what it said to itself.</summary>
    public string? Reasoning { get; init; }

    public IReadOnlyList<ChatToolCall> ToolCalls { get; init; } = [];

    /// <summary>Of a tool: which call it answers.</summary>
    public string? ToolCallId { get; init; }

    /// <summary>Characters that reach the prompt.</summary>
    public long Length => (Content?.Length ?? 0) + (Reasoning?.Length ?? 0) + ToolCalls.Sum(call => (long)call.Arguments.Length);

    /// <summary>As chat templates take it.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject { ["role"] = Role, ["content"] = Content };
        if (Name is not null)
        {
            json["name"] = Name;
        }

        if (Reasoning is not null)
        {
            json["reasoning_content"] = Reasoning;
        }

        if (ToolCallId is not null)
        {
            json["tool_call_id"] = ToolCallId;
        }

        if (ToolCalls.Count > 0)
        {
            json["tool_calls"] = new JsonArray([.. ToolCalls.Select(call => new JsonObject
            {
                ["id"] = call.Id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.Arguments },
            })]);
        }

        return json;
    }
}

/// <param name="Arguments">JSON text.</param>
internal sealed record ChatToolCall(string Id, string Name, string Arguments);

/// <summary>Reads the messages of a conversation.</summary>
internal static class ChatMessages
{
    private static readonly FrozenSet<string> s_unsupported = FrozenSet.Create(StringComparer.Ordinal, "annotations", "audio", "function_call", "refusal");

    public static ChatMessage[] Read(JsonElement json, string path)
    {
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "an array", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxMessages)
        {
            throw ApiError.InvalidValue(path, $"'{path}' has {count} entries; 1 to {ApiLimits.MaxMessages} are allowed").AsException();
        }

        return [.. json.EnumerateArray().Select((message, i) => ReadMessage(message, $"{path}[{i}]"))];
    }

    private static ChatMessage ReadMessage(JsonElement json, string path)
    {
        JsonFields fields = JsonFields.Of(json, path);
        string role = JsonFields.Text(fields.TakeRequired("role"), fields.PathOf("role"), ApiLimits.MaxNameLength) switch
        {
            "system" or "developer" => "system",
            "user" => "user",
            "assistant" => "assistant",
            "tool" => "tool",
            _ => throw ApiError.InvalidValue(fields.PathOf("role"), $"'{fields.PathOf("role")}' must be system, developer, user, assistant or tool").AsException(),
        };
        ChatToolCall[] calls = role == "assistant" && fields.Take("tool_calls") is { } list ? ReadCalls(list, fields.PathOf("tool_calls")) : [];
        JsonElement? given = calls.Length > 0 ? fields.Take("content") : fields.TakeRequired("content");
        string? content = given is { } text ? ReadContent(text, fields.PathOf("content")) : null;
        var message = new ChatMessage(role, content, fields.TakeString("name", ApiLimits.MaxNameLength))
        {
            ToolCalls = calls,
            Reasoning = role == "assistant" ? fields.TakeString("reasoning_content", ApiLimits.MaxBodyBytes) : null,
            ToolCallId = role == "tool" ? JsonFields.Text(fields.TakeRequired("tool_call_id"), fields.PathOf("tool_call_id"), ApiLimits.MaxNameLength) : null,
        };
        fields.RefuseOthers(s_unsupported);
        return message;
    }

    private static ChatToolCall[] ReadCalls(JsonElement json, string path)
    {
        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "an array", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        return count is > 0 and <= ApiLimits.MaxTools
            ? [.. json.EnumerateArray().Select((call, i) => ReadCall(JsonFields.Of(call, $"{path}[{i}]")))]
            : throw ApiError.InvalidValue(path, $"'{path}' has {count} entries; 1 to {ApiLimits.MaxTools} are allowed").AsException();
    }

    private static ChatToolCall ReadCall(JsonFields fields)
    {
        ToolFields.RequireFunctionType(fields);
        string id = JsonFields.Text(fields.TakeRequired("id"), fields.PathOf("id"), ApiLimits.MaxNameLength);
        JsonFields function = JsonFields.Of(fields.TakeRequired("function"), fields.PathOf("function"));
        var call = new ChatToolCall(
            id,
            JsonFields.Text(function.TakeRequired("name"), function.PathOf("name"), ApiLimits.MaxNameLength),
            JsonFields.Text(function.TakeRequired("arguments"), function.PathOf("arguments"), ApiLimits.MaxBodyBytes));
        function.RefuseOthers();
        fields.RefuseOthers();
        return call;
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
