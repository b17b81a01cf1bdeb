using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Lamina.Client;

/// <summary>Between the types of Microsoft.Extensions.AI and the HTTP contract.</summary>
internal static class ChatMapping
{
    /// <summary>The abstraction's own serialisation without its line breaks, which a model would read.</summary>
    private static readonly JsonSerializerOptions s_json = new(AIJsonUtilities.DefaultOptions) { WriteIndented = false };

    /// <param name="raw">Fields that the abstraction does not have; what <paramref name="options"/> sets goes before.</param>
    public static ChatRequest Request(IEnumerable<ChatMessage> messages, ChatOptions? options, ChatRequest? raw, string? defaultModel)
    {
        ChatRequest request = raw ?? new ChatRequest();
        List<Message> sent = [.. messages.SelectMany(Messages)];
        if (options?.Instructions is { Length: > 0 } instructions)
        {
            sent.Insert(0, Message.System(instructions));
        }

        string? model = options?.ModelId ?? (request.Model.Length > 0 ? request.Model : defaultModel);
        request = request with
        {
            Model = model ?? throw new InvalidOperationException("no model was named: give one to AsChatClient or in ChatOptions.ModelId"),
            Messages = sent,
        };
        return options is null ? request : request with
        {
            MaxTokens = options.MaxOutputTokens ?? request.MaxTokens,
            Temperature = options.Temperature ?? request.Temperature,
            TopP = options.TopP ?? request.TopP,
            TopK = options.TopK ?? request.TopK,
            Seed = options.Seed ?? request.Seed,
            FrequencyPenalty = options.FrequencyPenalty ?? request.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty ?? request.PresencePenalty,
            Stop = options.StopSequences is { Count: > 0 } stops ? [.. stops] : request.Stop,
            ResponseFormat = Format(options.ResponseFormat) ?? request.ResponseFormat,
            Tools = options.Tools is { Count: > 0 } tools ? [.. tools.Select(Tool)] : request.Tools,
            ToolChoice = options.Tools is { Count: > 0 } ? Choice(options.ToolMode) : request.ToolChoice,
            ParallelToolCalls = options.Tools is { Count: > 0 } ? options.AllowMultipleToolCalls : request.ParallelToolCalls,
        };
    }

    public static ChatMessage Answer(ChatChoice choice, string id)
    {
        var message = new ChatMessage(ChatRole.Assistant, []) { MessageId = id, RawRepresentation = choice };
        if (choice.Message?.Content is { Length: > 0 } content)
        {
            message.Contents.Add(new TextContent(content));
        }

        foreach (ToolCall call in choice.Message?.ToolCalls ?? [])
        {
            message.Contents.Add(Call(call.Id, call.Function.Name ?? "", call.Function.Arguments ?? ""));
        }

        return message;
    }

    /// <summary>A call whose arguments are no JSON object carries the reason, as the abstraction asks.</summary>
    public static FunctionCallContent Call(string id, string name, string arguments)
    {
        try
        {
            IDictionary<string, object?>? values = arguments.Length == 0 ? null : (IDictionary<string, object?>?)JsonSerializer.Deserialize(arguments, s_json.GetTypeInfo(typeof(IDictionary<string, object?>)));
            return new FunctionCallContent(id, name, values);
        }
        catch (JsonException e)
        {
            return new FunctionCallContent(id, name) { Exception = e };
        }
    }

    public static UsageDetails Usage(TokenUsage usage) => new()
    {
        InputTokenCount = usage.PromptTokens,
        OutputTokenCount = usage.CompletionTokens,
        TotalTokenCount = usage.TotalTokens,
        CachedInputTokenCount = usage.PromptTokensDetails?.CachedTokens,
    };

    /// <summary>One message, or one per function result.</summary>
    private static IEnumerable<Message> Messages(ChatMessage message)
    {
        if (message.Contents.FirstOrDefault(content => content is not (TextContent or TextReasoningContent or FunctionCallContent or FunctionResultContent or UsageContent)) is { } other)
        {
            throw new NotSupportedException($"a message holds {other.GetType().Name}, but the server reads text and function calls only");
        }

        if (message.Role == ChatRole.Tool)
        {
            return message.Contents.OfType<FunctionResultContent>().Select(result => new Message("tool", Text(result.Result)) { ToolCallId = result.CallId });
        }

        ToolCall[] calls = [.. message.Contents.OfType<FunctionCallContent>().Select(call => new ToolCall(call.CallId, new FunctionCall(call.Name, Arguments(call))))];
        string text = string.Concat(message.Contents.OfType<TextContent>().Select(content => content.Text));
        return [new Message(message.Role.Value, text.Length == 0 && calls.Length > 0 ? null : text) { Name = message.AuthorName, ToolCalls = calls.Length > 0 ? calls : null }];
    }

    private static string Arguments(FunctionCallContent call) =>
        call.Arguments is null ? "{}" : JsonSerializer.Serialize(call.Arguments, s_json.GetTypeInfo(typeof(IDictionary<string, object?>)));

    private static string Text(object? result) => result switch
    {
        null => "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } json => json.GetString()!,
        _ => JsonSerializer.Serialize(result, s_json.GetTypeInfo(typeof(object))),
    };

    private static ToolDefinition Tool(AITool tool) => tool is AIFunctionDeclaration function
        ? new ToolDefinition(new FunctionDefinition(function.Name, function.Description.Length > 0 ? function.Description : null, function.JsonSchema))
        : throw new NotSupportedException($"the tool '{tool.Name}' is a {tool.GetType().Name}, but the server calls functions only");

    private static JsonElement? Choice(ChatToolMode? mode) => mode switch
    {
        NoneChatToolMode => ToolChoice.None,
        RequiredChatToolMode { RequiredFunctionName: { } name } => ToolChoice.Function(name),
        RequiredChatToolMode => ToolChoice.Required,
        AutoChatToolMode => ToolChoice.Auto,
        _ => null,
    };

    private static ResponseFormat? Format(ChatResponseFormat? format) => format switch
    {
        ChatResponseFormatJson { Schema: { } schema } json => ResponseFormat.Schema(json.SchemaName ?? "answer", schema, json.SchemaDescription),
        ChatResponseFormatJson => ResponseFormat.JsonObject,
        _ => null,
    };
}
