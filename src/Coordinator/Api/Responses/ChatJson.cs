using System.Text.Json;
using Lamina.Compute.ToolCalls;

namespace Lamina.Coordinator.Api.Responses;

/// <summary>The message of a chat's answer, whole and in deltas.</summary>
internal static class ChatJson
{
    public static void WriteMessage(Utf8JsonWriter json, ChatParts parts)
    {
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", parts.Content);
        if (parts.Reasoning is { } reasoning)
        {
            json.WriteString("reasoning_content", reasoning);
        }

        if (parts.Calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (var call in parts.Calls)
            {
                json.WriteStartObject();
                WriteFunction(json, call.Id, call.Name, call.Arguments.ToString());
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    /// <summary>The inside of a chunk's <c>delta</c>.</summary>
    public static void WriteDelta(Utf8JsonWriter json, AnswerDelta delta, ChatParts parts)
    {
        switch (delta)
        {
            case ContentDelta content:
                json.WriteString("content", content.Text);
                break;
            case ReasoningDelta reasoning:
                json.WriteString("reasoning_content", reasoning.Text);
                break;
            case ToolCallStart start:
                WriteCall(json, start.Index, () => WriteFunction(json, parts.Calls[start.Index].Id, start.Name, ""));
                break;
            case ToolCallArguments arguments:
                WriteCall(json, arguments.Index, () =>
                {
                    json.WriteStartObject("function");
                    json.WriteString("arguments", arguments.Text);
                    json.WriteEndObject();
                });
                break;
        }
    }

    private static void WriteCall(Utf8JsonWriter json, int index, Action rest)
    {
        json.WriteStartArray("tool_calls");
        json.WriteStartObject();
        json.WriteNumber("index", index);
        rest();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteFunction(Utf8JsonWriter json, string id, string name, string arguments)
    {
        json.WriteString("id", id);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
    }
}
