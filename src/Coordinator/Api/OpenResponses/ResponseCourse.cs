using System.Text.Json;
using Lamina.Compute.ToolCalls;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>
/// A response as it comes about: takes what the generation brings, keeps the items of the output and says it in OpenAI's typed events, numbered from 0. At most one item
/// is open at a time.
/// </summary>
internal sealed class ResponseCourse(string id, long created, ResponseEcho echo, ServedModel model, ChatForm form, TimeProvider time)
{
    private readonly ChatParts _parts = new(form);
    private readonly List<ResponseItem> _items = [];
    private readonly List<byte[]> _events = [];
    private readonly bool _summarised = echo.Summary is not null;
    private ResponseItem? _open;
    private AnswerUsage _usage;
    private string _status = "in_progress";
    private ApiError? _error;
    private int _sequence;
    private bool _begun;

    /// <summary>Whether it was announced: errors from then on are events of it.</summary>
    public bool HasBegun => _begun;

    /// <summary>True once nothing more comes.</summary>
    public bool IsOver => _status != "in_progress";

    /// <summary>The assistant's turn as a later response continues it.</summary>
    public ChatMessage ToMessage() => new("assistant", _parts.Content, null)
    {
        Reasoning = _parts.Reasoning,
        ToolCalls = [.. _parts.Calls.Select(call => new ChatToolCall(call.Id, call.Name, call.Arguments.ToString()))],
    };

    /// <summary>What an event of the generation brings about.</summary>
    public IReadOnlyList<byte[]> Take(AnswerEvent happened)
    {
        _events.Clear();
        if (!_begun)
        {
            _begun = true;
            EmitResponse("response.created");
            EmitResponse("response.in_progress");
        }

        if (happened.Error is { } error)
        {
            _error = error;
            End("failed", happened.Usage);
            return [.. _events];
        }

        IReadOnlyList<AnswerToken> tokens = happened.Piece.Tokens ?? [];
        foreach (AnswerDelta delta in _parts.Take(happened.Piece.Text ?? "", isLast: happened.FinishReason is not null))
        {
            Take(delta, tokens);
            tokens = delta is ContentDelta ? [] : tokens;
        }

        if (happened.FinishReason is { } reason)
        {
            if (_items.Count == 0)
            {
                Open(new ResponseItem(ItemKind.Message));
            }

            End(reason == "length" ? "incomplete" : "completed", happened.Usage);
        }

        return [.. _events];
    }

    public byte[] ToJson() => JsonBody.Of(WriteResponse);

    private void Take(AnswerDelta delta, IReadOnlyList<AnswerToken> tokens)
    {
        switch (delta)
        {
            case ContentDelta content:
                Extend(ItemKind.Message, content.Text, tokens);
                break;
            case ReasoningDelta reasoning:
                Extend(ItemKind.Reasoning, reasoning.Text, []);
                break;
            case ToolCallStart start:
                Open(new ResponseItem(ItemKind.FunctionCall, _parts.Calls[start.Index].Id, start.Name));
                break;
            case ToolCallArguments arguments:
                Extend(ItemKind.FunctionCall, arguments.Text, []);
                break;
        }
    }

    private void Extend(ItemKind kind, string text, IReadOnlyList<AnswerToken> tokens)
    {
        if (_open?.Kind != kind)
        {
            // Blanks between calls, or before them, are no message of their own.
            if (kind == ItemKind.Message && string.IsNullOrWhiteSpace(text))
            {
                return;
            }

            Open(new ResponseItem(kind));
        }

        _open!.Text.Append(text);
        _open.Tokens.AddRange(tokens);
        switch (kind)
        {
            case ItemKind.Message:
                Emit("response.output_text.delta", json =>
                {
                    WritePlace(json, "content_index");
                    json.WriteString("delta", text);
                    AnswerJson.WriteTokens(json, "logprobs", tokens, model.Tokenizer);
                });
                break;
            case ItemKind.Reasoning:
                Emit(_summarised ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta", json =>
                {
                    WritePlace(json, _summarised ? "summary_index" : "content_index");
                    json.WriteString("delta", text);
                });
                break;
            default:
                Emit("response.function_call_arguments.delta", json =>
                {
                    WritePlace(json, null);
                    json.WriteString("delta", text);
                });
                break;
        }
    }

    private void Open(ResponseItem item)
    {
        Close("completed");
        _open = item;
        _items.Add(item);
        Emit("response.output_item.added", json => WriteItem(json, empty: true));
        if (item.Kind != ItemKind.FunctionCall)
        {
            EmitPart("added", "");
        }
    }

    private void Close(string status)
    {
        if (_open is not { } item)
        {
            return;
        }

        item.Status = status;
        string text = item.Text.ToString();
        switch (item.Kind)
        {
            case ItemKind.Message:
                Emit("response.output_text.done", json =>
                {
                    WritePlace(json, "content_index");
                    json.WriteString("text", text);
                    AnswerJson.WriteTokens(json, "logprobs", item.Tokens, model.Tokenizer);
                });
                break;
            case ItemKind.Reasoning:
                Emit(_summarised ? "response.reasoning_summary_text.done" : "response.reasoning_text.done", json =>
                {
                    WritePlace(json, _summarised ? "summary_index" : "content_index");
                    json.WriteString("text", text);
                });
                break;
            default:
                Emit("response.function_call_arguments.done", json =>
                {
                    WritePlace(json, null);
                    json.WriteString("name", item.Name);
                    json.WriteString("arguments", text);
                });
                break;
        }

        if (item.Kind != ItemKind.FunctionCall)
        {
            EmitPart("done", text);
        }

        Emit("response.output_item.done", json => WriteItem(json, empty: false));
        _open = null;
    }

    private void End(string status, AnswerUsage usage)
    {
        _usage = usage;
        Close(status == "completed" ? "completed" : "incomplete");
        _status = status;
        EmitResponse($"response.{status}");
    }

    private void EmitPart(string what, string text)
    {
        bool summary = _open!.Kind == ItemKind.Reasoning && _summarised;
        Emit($"response.{(summary ? "reasoning_summary_part" : "content_part")}.{what}", json =>
        {
            WritePlace(json, summary ? "summary_index" : "content_index");
            json.WritePropertyName("part");
            _open.WritePart(json, text, _summarised, model.Tokenizer);
        });
    }

    private void EmitResponse(string type) => Emit(type, json =>
    {
        json.WritePropertyName("response");
        WriteResponse(json);
    });

    private void Emit(string type, Action<Utf8JsonWriter> rest) => _events.Add(JsonBody.Of(json =>
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteNumber("sequence_number", _sequence++);
        rest(json);
        json.WriteEndObject();
    }));

    private void WriteItem(Utf8JsonWriter json, bool empty)
    {
        json.WriteNumber("output_index", _items.Count - 1);
        json.WritePropertyName("item");
        _open!.Write(json, _summarised, model.Tokenizer, empty);
    }

    private void WritePlace(Utf8JsonWriter json, string? partIndex)
    {
        json.WriteString("item_id", _open!.Id);
        json.WriteNumber("output_index", _items.Count - 1);
        if (partIndex is not null)
        {
            json.WriteNumber(partIndex, 0);
        }
    }

    private void WriteResponse(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("object", "response");
        json.WriteNumber("created_at", created);
        json.WriteString("status", _status);
        if (_status == "completed")
        {
            json.WriteNumber("completed_at", time.GetUtcNow().ToUnixTimeSeconds());
        }
        else
        {
            json.WriteNull("completed_at");
        }

        WriteWhyNot(json);
        json.WriteString("model", model.Name);
        json.WriteStartArray("output");
        foreach (ResponseItem item in IsOver ? _items : [])
        {
            item.Write(json, _summarised, model.Tokenizer);
        }

        json.WriteEndArray();
        echo.Write(json);
        WriteUsage(json);
        json.WriteEndObject();
    }

    private void WriteWhyNot(Utf8JsonWriter json)
    {
        if (_error is { } error)
        {
            json.WriteStartObject("error");
            json.WriteString("code", error.Status >= 500 ? "server_error" : error.Status == 429 ? "rate_limit_exceeded" : error.Code);
            json.WriteString("message", error.Message);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("error");
        }

        if (_status == "incomplete")
        {
            json.WriteStartObject("incomplete_details");
            json.WriteString("reason", "max_output_tokens");
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("incomplete_details");
        }
    }

    private void WriteUsage(Utf8JsonWriter json)
    {
        if (!IsOver)
        {
            json.WriteNull("usage");
            return;
        }

        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", _usage.PromptTokens);
        json.WriteStartObject("input_tokens_details");
        json.WriteNumber("cached_tokens", _usage.CachedPromptTokens);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", _usage.CompletionTokens);
        json.WriteStartObject("output_tokens_details");
        json.WriteNumber("reasoning_tokens", Math.Min(_usage.CompletionTokens, _parts.Reasoning is { } reasoning ? model.Tokenizer.Encode(reasoning).Length : 0));
        json.WriteEndObject();
        json.WriteNumber("total_tokens", _usage.PromptTokens + _usage.CompletionTokens);
        json.WriteEndObject();
    }
}
