using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Compute.Templates;

/// <summary>Rewrites messages into the forms that templates expect.</summary>
internal static class MessageForms
{
    private static readonly JsonDocumentOptions Limits = new() { MaxDepth = 32 };

    /// <summary>Puts system messages in front of the next user message, for templates that have no place for them.</summary>
    public static JsonArray MergeSystem(JsonArray messages)
    {
        JsonArray merged = [];
        string pending = "";
        foreach (JsonNode? message in messages)
        {
            string? role = message?["role"]?.GetValueKind() == JsonValueKind.String ? message["role"]!.GetValue<string>() : null;
            if (role is "system" or "developer")
            {
                pending += (pending.Length > 0 ? "\n" : "") + TextOf(message!["content"]);
                continue;
            }

            JsonNode? copy = message?.DeepClone();
            if (pending.Length > 0 && role == "user")
            {
                Prepend(copy!, pending);
                pending = "";
            }

            merged.Add(copy);
        }

        if (pending.Length > 0)
        {
            merged.Add(new JsonObject { ["role"] = "user", ["content"] = pending });
        }

        return merged;
    }

    private static void Prepend(JsonNode message, string text)
    {
        if (message["content"] is JsonArray parts)
        {
            parts.Insert(0, new JsonObject { ["type"] = "text", ["text"] = text });
            return;
        }

        string content = TextOf(message["content"]);
        message["content"] = content.Length > 0 ? text + "\n" + content : text;
    }

    /// <summary>A message's text, whole or in parts.</summary>
    private static string TextOf(JsonNode? content) => content switch
    {
        JsonArray parts => string.Join('\n', parts.OfType<JsonObject>().Select(part => TextOf(part["text"]))),
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        _ => "",
    };

    /// <summary>A copy in which the arguments of tool calls, text in the API, are the objects they stand for.</summary>
    public static JsonArray ParseArguments(JsonArray messages)
    {
        if (!HasTextArguments(messages))
        {
            return messages;
        }

        JsonArray copy = messages.DeepClone().AsArray();
        foreach (JsonObject function in TextFunctions(copy).ToArray())
        {
            try
            {
                function["arguments"] = JsonNode.Parse(function["arguments"]!.GetValue<string>(), documentOptions: Limits);
            }
            catch (JsonException)
            {
                // a model may have written arguments that are no JSON: they stay text
            }
        }

        return copy;
    }

    public static bool HasTextArguments(JsonArray messages) => TextFunctions(messages).Any();

    private static IEnumerable<JsonObject> TextFunctions(JsonArray messages) =>
        from message in messages.OfType<JsonObject>()
        where message["tool_calls"] is JsonArray
        from call in message["tool_calls"]!.AsArray().OfType<JsonObject>()
        let function = call["function"] as JsonObject
        where function?["arguments"]?.GetValueKind() == JsonValueKind.String
        select function;
}
