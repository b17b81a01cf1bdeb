using System.Text;
using System.Text.Json;
using Lamina.Compute.ToolCalls;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal sealed class ChatCompletionsEndpoint(ModelLookup models, ApiMetrics metrics, TimeProvider time, Responder responder)
{
    public const string Route = "/v1/chat/completions";

    public void Map(IEndpointRouteBuilder routes) => responder.Map(routes, Route, (caller, body, origin) => Begin(caller, body, priority: 0, origin));

    /// <param name="priority">Of its generations against others; higher comes first.</param>
    internal PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority) => Begin(caller, body, priority, AnswerOrigin.Random());

    private PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority, AnswerOrigin origin)
    {
        ChatCompletionRequest request = ChatCompletionRequest.Parse(body);
        request = request with { Options = origin.Seeded(request.Options) };
        (Cell cell, ServedModel model) = models.RequireGenerator(caller, request.Options.Model);
        request.Options.RequireVocabulary(model.Tokenizer.VocabularySize);
        int[] prompt = PromptEncoder.Encode(model, request.Conversation, time.GetUtcNow().UtcDateTime, out bool opensReasoning);
        ChatForm form = ChatForm.Of(model.ToolFormat, request.Conversation.Tools, request.Options.Sampling.Grammar is not null, opensReasoning);
        var answers = new Answers(cell, model, request.Options.WithAdapters(model, caller).WithTools(request.Conversation.Tools, model.ToolFormat, opensReasoning) with { Priority = priority }, metrics, model.ControlTokens(form.Shows));
        var header = new AnswerHeader($"chatcmpl-{origin.Id:n}", time.GetUtcNow().ToUnixTimeSeconds(), model.Name, model.Fingerprint, request.ServiceTier);
        return new PendingAnswer(header.Id, request.Options.Stream, answers.Seed, request.Options.User, cancellation =>
        {
            IAsyncEnumerable<AnswerEvent> events = answers.RunAsync([prompt], model.ContextLength, cancellation);
            return request.Options.Stream ? StreamAsync(request.Options, model, header, form, events) : WholeAsync(request.Options, model, header, form, events);
        })
        {
            Meter = answers.Measure([prompt], model.ContextLength),
        };
    }

    private static async IAsyncEnumerable<byte[]> StreamAsync(GenerationOptions options, ServedModel model, AnswerHeader header, ChatForm form, IAsyncEnumerable<AnswerEvent> events)
    {
        var course = new StreamCourse(options);
        ChatParts[] choices = [.. Enumerable.Range(0, options.Choices).Select(_ => new ChatParts(form))];
        await foreach (AnswerEvent happened in events)
        {
            if (course.Take(happened))
            {
                yield return Chunk(header, options, model, happened.Choice, OpeningDelta, [], null);
            }

            ChatParts parts = choices[happened.Choice];
            IReadOnlyList<AnswerToken> tokens = happened.Piece.Tokens ?? [];
            foreach (AnswerDelta delta in parts.Take(happened.Piece.Text ?? "", isLast: happened.FinishReason is not null))
            {
                // The tokens go with the first piece that they brought about.
                yield return Chunk(header, options, model, happened.Choice, json => ChatJson.WriteDelta(json, delta, parts), tokens, null);
                tokens = [];
            }

            if (tokens.Count > 0)
            {
                yield return Chunk(header, options, model, happened.Choice, _ => { }, tokens, null);
            }

            if (happened.FinishReason is { } reason)
            {
                yield return Chunk(header, options, model, happened.Choice, _ => { }, [], parts.FinishReason(reason));
            }
        }

        if (options.IncludeUsage)
        {
            yield return JsonBody.Of(json =>
            {
                json.WriteStartObject();
                AnswerJson.WriteHeader(json, header, "chat.completion.chunk");
                json.WriteStartArray("choices");
                json.WriteEndArray();
                AnswerJson.WriteUsage(json, course.Usage);
                json.WriteEndObject();
            });
        }
    }

    private static void OpeningDelta(Utf8JsonWriter json)
    {
        json.WriteString("role", "assistant");
        json.WriteString("content", "");
    }

    /// <summary>One chunk: the role first, then the parts, then an empty delta with the finish reason.</summary>
    private static byte[] Chunk(
        AnswerHeader header, GenerationOptions options, ServedModel model, int choice, Action<Utf8JsonWriter> delta, IReadOnlyList<AnswerToken> tokens, string? finishReason) => JsonBody.Of(json =>
        {
            json.WriteStartObject();
            AnswerJson.WriteHeader(json, header, "chat.completion.chunk");
            json.WriteStartArray("choices");
            json.WriteStartObject();
            json.WriteNumber("index", choice);
            json.WriteStartObject("delta");
            delta(json);
            json.WriteEndObject();
            WriteLogProbs(json, options, model, tokens);
            json.WriteString("finish_reason", finishReason);
            json.WriteEndObject();
            json.WriteEndArray();
            if (options.IncludeUsage)
            {
                json.WriteNull("usage");
            }

            json.WriteEndObject();
        });

    private static async IAsyncEnumerable<byte[]> WholeAsync(GenerationOptions options, ServedModel model, AnswerHeader header, ChatForm form, IAsyncEnumerable<AnswerEvent> events)
    {
        WholeAnswers whole = await WholeAnswers.CollectAsync(events, options.Choices, options.Choices);
        yield return JsonBody.Of(json =>
        {
            json.WriteStartObject();
            AnswerJson.WriteHeader(json, header, "chat.completion");
            json.WriteStartArray("choices");
            for (int choice = 0; choice < whole.Choices.Count; choice++)
            {
                (StringBuilder text, List<AnswerToken> tokens, string finishReason) = whole.Choices[choice];
                var parts = new ChatParts(form);
                parts.Take(text.ToString(), isLast: true);
                json.WriteStartObject();
                json.WriteNumber("index", choice);
                ChatJson.WriteMessage(json, parts);
                WriteLogProbs(json, options, model, tokens);
                json.WriteString("finish_reason", parts.FinishReason(finishReason));
                json.WriteEndObject();
            }

            json.WriteEndArray();
            AnswerJson.WriteUsage(json, whole.Usage);
            json.WriteEndObject();
        });
    }

    private static void WriteLogProbs(Utf8JsonWriter json, GenerationOptions options, ServedModel model, IReadOnlyList<AnswerToken> tokens)
    {
        if (options.LogProbs)
        {
            AnswerJson.WriteChatLogProbs(json, tokens, model.Tokenizer);
        }
        else
        {
            json.WriteNull("logprobs");
        }
    }
}
