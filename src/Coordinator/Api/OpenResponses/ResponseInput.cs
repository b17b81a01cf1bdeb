using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Api.Requests;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>Reads a request's input, a text or items, into the messages of a conversation.</summary>
internal static class ResponseInput
{
    /// <returns>The messages, and the items with ids, as <c>/input_items</c> lists them.</returns>
    public static (ChatMessage[] Messages, JsonObject[] Items) Read(JsonElement json, string path)
    {
        if (json.ValueKind == JsonValueKind.String)
        {
            string text = JsonFields.Text(json, path, ApiLimits.MaxBodyBytes);
            return ([new ChatMessage("user", text, null)],
                [new JsonObject { ["id"] = NewId("msg"), ["type"] = "message", ["role"] = "user", ["content"] = new JsonArray(new JsonObject { ["type"] = "input_text", ["text"] = text }) }]);
        }

        if (json.ValueKind != JsonValueKind.Array)
        {
            throw ApiError.InvalidType(path, "a string or an array of items", JsonFields.Kind(json)).AsException();
        }

        int count = json.GetArrayLength();
        if (count is 0 or > ApiLimits.MaxMessages)
        {
            throw ApiError.InvalidValue(path, $"'{path}' has {count} items; 1 to {ApiLimits.MaxMessages} are allowed").AsException();
        }

        var reader = new ItemReader();
        var items = new List<JsonObject>();
        int index = 0;
        foreach (JsonElement item in json.EnumerateArray())
        {
            string place = $"{path}[{index++}]";
            string type = reader.Read(JsonFields.Of(item, place));
            JsonObject kept = JsonFields.Node(item, place).AsObject();
            kept["type"] = type;
            kept["id"] ??= NewId(type switch { "message" => "msg", "reasoning" => "rs", "function_call" => "fc", _ => "fco" });
            items.Add(kept);
        }

        return (reader.Finish(), [.. items]);
    }

    /// <summary>An id of OpenAI's form: what it names, then random digits.</summary>
    public static string NewId(string kind) => $"{kind}_{Guid.NewGuid():n}";

    /// <summary>Joins what belongs to one turn of the assistant: reasoning, text and calls come as items of their own.</summary>
    private sealed class ItemReader
    {
        private readonly List<ChatMessage> _messages = [];
        private readonly List<ChatToolCall> _calls = [];
        private string? _reasoning;
        private string? _text;

        public string Read(JsonFields fields)
        {
            string type = fields.TakeString("type", ApiLimits.MaxNameLength) ?? "message";
            _ = fields.TakeString("id", ApiLimits.MaxModelNameLength);
            _ = fields.TakeString("status", ApiLimits.MaxNameLength);
            switch (type)
            {
                case "message":
                    ReadMessage(fields);
                    break;
                case "function_call":
                    _calls.Add(new ChatToolCall(Text(fields, "call_id", ApiLimits.MaxNameLength), Text(fields, "name", ApiLimits.MaxNameLength), Text(fields, "arguments", ApiLimits.MaxBodyBytes)));
                    break;
                case "function_call_output":
                    EndTurn();
                    string id = Text(fields, "call_id", ApiLimits.MaxNameLength);
                    _messages.Add(new ChatMessage("tool", Content(fields.TakeRequired("output"), fields.PathOf("output"), "input_text"), null) { ToolCallId = id });
                    break;
                case "reasoning":
                    EndTurnBeforeReasoning();
                    _reasoning += ReadReasoning(fields);
                    break;
                default:
                    throw ApiError.InvalidValue(fields.PathOf("type"), $"'{fields.PathOf("type")}' must be message, function_call, function_call_output or reasoning").AsException();
            }

            fields.RefuseOthers();
            return type;
        }

        public ChatMessage[] Finish()
        {
            EndTurn();
            return [.. _messages];
        }

        private void ReadMessage(JsonFields fields)
        {
            string path = fields.PathOf("role");
            string role = Text(fields, "role", ApiLimits.MaxNameLength) switch
            {
                "system" or "developer" => "system",
                "user" => "user",
                "assistant" => "assistant",
                _ => throw ApiError.InvalidValue(path, $"'{path}' must be user, assistant, system or developer").AsException(),
            };
            string content = Content(fields.TakeRequired("content"), fields.PathOf("content"), role == "assistant" ? "output_text" : "input_text");
            if (role == "assistant")
            {
                if (_text is not null || _calls.Count > 0)
                {
                    EndTurn();
                }

                _text = content;
                return;
            }

            EndTurn();
            _messages.Add(new ChatMessage(role, content, null));
        }

        private void EndTurnBeforeReasoning()
        {
            if (_text is not null || _calls.Count > 0)
            {
                EndTurn();
            }
        }

        private void EndTurn()
        {
            if (_text is not null || _calls.Count > 0)
            {
                _messages.Add(new ChatMessage("assistant", _text, null) { Reasoning = _reasoning, ToolCalls = [.. _calls] });
            }

            (_text, _reasoning) = (null, null);
            _calls.Clear();
        }
    }

    private static string ReadReasoning(JsonFields fields)
    {
        var text = new StringBuilder();
        foreach ((string name, string type) in new[] { ("content", "reasoning_text"), ("summary", "summary_text") })
        {
            if (fields.Take(name) is { } parts)
            {
                string part = parts.ValueKind == JsonValueKind.Array && parts.GetArrayLength() == 0 ? "" : Content(parts, fields.PathOf(name), type);

                // The summary stands in where the reasoning itself is not given.
                text.Append(text.Length == 0 ? part : "");
            }
        }

        return text.ToString();
    }

    private static string Text(JsonFields fields, string name, int maxLength) => JsonFields.Text(fields.TakeRequired(name), fields.PathOf(name), maxLength);

    /// <summary>A string, or text parts, which are joined by line feeds.</summary>
    private static string Content(JsonElement json, string path, string partType)
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
        return count is > 0 and <= ApiLimits.MaxContentParts
            ? string.Join('\n', json.EnumerateArray().Select((part, i) => ReadPart(part, $"{path}[{i}]", partType)))
            : throw ApiError.InvalidValue(path, $"'{path}' has {count} parts; 1 to {ApiLimits.MaxContentParts} are allowed").AsException();
    }

    private static string ReadPart(JsonElement json, string path, string partType)
    {
        JsonFields fields = JsonFields.Of(json, path);
        string type = Text(fields, "type", ApiLimits.MaxNameLength);
        if (type != partType)
        {
            throw ApiError.InvalidValue(fields.PathOf("type"), $"'{fields.PathOf("type")}' must be {partType}: this server reads no other parts here").AsException();
        }

        string text = Text(fields, "text", ApiLimits.MaxBodyBytes);
        if (type == "output_text")
        {
            // What an answer carried beside its text comes back with it and means nothing to the model.
            _ = fields.Take("annotations");
            _ = fields.Take("logprobs");
        }

        fields.RefuseOthers();
        return text;
    }
}
