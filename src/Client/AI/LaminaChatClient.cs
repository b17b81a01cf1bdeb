using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.AI;

namespace Lamina.Client;

/// <summary>A <see cref="LaminaClient"/> as <see cref="IChatClient"/>: answers and streams, tools, structured output, usage.</summary>
/// <param name="model">The model asked when <see cref="ChatOptions.ModelId"/> names none.</param>
internal sealed class LaminaChatClient(LaminaClient client, string? model) : IChatClient
{
    private readonly ChatClientMetadata _metadata = new("lamina", client.Options.Endpoint, model);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        ChatCompletion completion = await client.CompleteChatAsync(Request(messages, options), cancellationToken).ConfigureAwait(false);
        var response = new ChatResponse
        {
            ResponseId = completion.Id,
            ModelId = completion.Model,
            CreatedAt = DateTimeOffset.FromUnixTimeSeconds(completion.Created),
            FinishReason = completion.Choices is [{ FinishReason: { } reason }, ..] ? new ChatFinishReason(reason) : null,
            Usage = completion.Usage is { } usage ? ChatMapping.Usage(usage) : null,
            RawRepresentation = completion,
        };
        foreach (ChatChoice choice in completion.Choices)
        {
            response.Messages.Add(ChatMapping.Answer(choice, completion.Id));
        }

        return response;
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var calls = new SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)>();
        await foreach (ChatChunk chunk in client.StreamChatAsync(Request(messages, options), cancellationToken).ConfigureAwait(false))
        {
            var update = new ChatResponseUpdate
            {
                Role = ChatRole.Assistant,
                ResponseId = chunk.Id,
                MessageId = chunk.Id,
                ModelId = chunk.Model,
                CreatedAt = DateTimeOffset.FromUnixTimeSeconds(chunk.Created),
                RawRepresentation = chunk,
            };
            foreach (ChatDelta choice in chunk.Choices.Where(choice => choice.Index == 0))
            {
                if (!string.IsNullOrEmpty(choice.Delta?.Content))
                {
                    update.Contents.Add(new TextContent(choice.Delta.Content));
                }

                Collect(calls, choice.Delta?.ToolCalls ?? []);
                if (choice.FinishReason is { } reason)
                {
                    update.FinishReason = new ChatFinishReason(reason);
                    foreach ((string id, string name, StringBuilder arguments) in calls.Values)
                    {
                        update.Contents.Add(ChatMapping.Call(id, name, arguments.ToString()));
                    }

                    calls.Clear();
                }
            }

            if (chunk.Usage is { } usage)
            {
                update.Contents.Add(new UsageContent(ChatMapping.Usage(usage)));
            }

            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? _metadata
        : serviceType == typeof(LaminaClient) ? client
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    /// <summary>Nothing of its own: the client belongs to whoever made it.</summary>
    public void Dispose()
    {
    }

    /// <summary>The pieces of a call share an index; the first brings id and name, all bring arguments.</summary>
    private static void Collect(SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> calls, IReadOnlyList<ToolCallDelta> pieces)
    {
        foreach (ToolCallDelta piece in pieces)
        {
            (string id, string name, StringBuilder arguments) = calls.TryGetValue(piece.Index, out var call) ? call : ("", "", new StringBuilder());
            arguments.Append(piece.Function?.Arguments);
            calls[piece.Index] = (piece.Id ?? id, piece.Function?.Name ?? name, arguments);
        }
    }

    private ChatRequest Request(IEnumerable<ChatMessage> messages, ChatOptions? options) =>
        ChatMapping.Request(messages, options, options?.RawRepresentationFactory?.Invoke(this) as ChatRequest, model);
}
