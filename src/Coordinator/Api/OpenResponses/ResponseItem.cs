using System.Text;
using System.Text.Json;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Api.OpenResponses;

internal enum ItemKind { Message, Reasoning, FunctionCall }

/// <summary>An item of a response's output while it grows: the answer's text, its reasoning, or one call.</summary>
/// <param name="Name">Of the function, of a call.</param>
internal sealed class ResponseItem(ItemKind kind, string? callId = null, string? name = null)
{
    public ItemKind Kind { get; } = kind;

    public string Id { get; } = ResponseInput.NewId(kind switch { ItemKind.Message => "msg", ItemKind.Reasoning => "rs", _ => "fc" });

    public string? CallId { get; } = callId;
    public string? Name { get; } = name;

    public StringBuilder Text { get; } = new();

    public List<AnswerToken> Tokens { get; } = [];

    /// <summary><c>in_progress</c>, <c>completed</c> or <c>incomplete</c>.</summary>
    public string Status { get; set; } = "in_progress";

    /// <param name="summarised">Whether reasoning is shown as summary.</param>
    /// <param name="empty">As it is announced: without what it will hold.</param>
    public void Write(Utf8JsonWriter json, bool summarised, Tokenizer tokenizer, bool empty = false)
    {
        json.WriteStartObject();
        json.WriteString("id", Id);
        switch (Kind)
        {
            case ItemKind.Message:
                json.WriteString("type", "message");
                json.WriteString("status", Status);
                json.WriteString("role", "assistant");
                json.WriteStartArray("content");
                if (!empty)
                {
                    WritePart(json, Text.ToString(), summarised, tokenizer);
                }

                json.WriteEndArray();
                break;
            case ItemKind.Reasoning:
                json.WriteString("type", "reasoning");
                json.WriteString("status", Status);
                WriteReasoning(json, "summary", !empty && summarised, tokenizer);
                WriteReasoning(json, "content", !empty && !summarised, tokenizer);
                break;
            default:
                json.WriteString("type", "function_call");
                json.WriteString("status", Status);
                json.WriteString("call_id", CallId);
                json.WriteString("name", Name);
                json.WriteString("arguments", empty ? "" : Text.ToString());
                break;
        }

        json.WriteEndObject();
    }

    /// <summary>The one part of its content, with a text that may still be short of the item's.</summary>
    public void WritePart(Utf8JsonWriter json, string text, bool summarised, Tokenizer tokenizer)
    {
        json.WriteStartObject();
        json.WriteString("type", Kind == ItemKind.Message ? "output_text" : summarised ? "summary_text" : "reasoning_text");
        json.WriteString("text", text);
        if (Kind == ItemKind.Message)
        {
            json.WriteStartArray("annotations");
            json.WriteEndArray();
            AnswerJson.WriteTokens(json, "logprobs", text.Length == 0 ? [] : Tokens, tokenizer);
        }

        json.WriteEndObject();
    }

    private void WriteReasoning(Utf8JsonWriter json, string name, bool holdsText, Tokenizer tokenizer)
    {
        json.WriteStartArray(name);
        if (holdsText)
        {
            WritePart(json, Text.ToString(), name == "summary", tokenizer);
        }

        json.WriteEndArray();
    }
}
