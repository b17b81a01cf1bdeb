using Akka;
using Akka.Streams.Dsl;

namespace Lamina.Client.Streams;

/// <summary>A prompt of a batch, with the caller's own key.</summary>
public sealed record BatchPrompt<TKey>(TKey Key, ChatRequest Chat);

/// <summary>What became of a prompt: an answer, or the failure that was left after all retries.</summary>
public sealed record BatchAnswer<TKey>(TKey Key, ChatCompletion? Completion, LaminaException? Failure);

/// <summary>Generations as Akka.Streams stages; demand travels to the server's connection.</summary>
public static class LaminaStreams
{
    /// <summary>The chunks of one streamed chat. Each materialisation is a generation of its own; a cancelled one ends at the server.</summary>
    public static Source<ChatChunk, NotUsed> ChatSource(this LaminaClient client, ChatRequest request) =>
        Source.From(() => client.StreamChatAsync(request));

    /// <summary>
    /// Answers every prompt that flows in exactly once, in order. A prompt that fails gives an answer with its failure and does not end the stream.
    /// </summary>
    /// <param name="parallelism">Most generations in flight.</param>
    public static Flow<BatchPrompt<TKey>, BatchAnswer<TKey>, NotUsed> ChatFlow<TKey>(this LaminaClient client, int parallelism) =>
        Flow.Create<BatchPrompt<TKey>>().SelectAsync(parallelism, prompt => AnswerAsync(client, prompt));

    /// <summary>As <see cref="ChatFlow"/>, but answers come as they are ready, so that a long one holds up no other.</summary>
    public static Flow<BatchPrompt<TKey>, BatchAnswer<TKey>, NotUsed> UnorderedChatFlow<TKey>(this LaminaClient client, int parallelism) =>
        Flow.Create<BatchPrompt<TKey>>().SelectAsyncUnordered(parallelism, prompt => AnswerAsync(client, prompt));

    private static async Task<BatchAnswer<TKey>> AnswerAsync<TKey>(LaminaClient client, BatchPrompt<TKey> prompt)
    {
        try
        {
            return new BatchAnswer<TKey>(prompt.Key, await client.CompleteChatAsync(prompt.Chat).ConfigureAwait(false), null);
        }
        catch (LaminaException e)
        {
            return new BatchAnswer<TKey>(prompt.Key, null, e);
        }
    }
}
