using System.Text;
using System.Text.Json;
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

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost(Route, context => responder.AnswerAsync(context, body => Begin(Caller.Of(context), body)));

    private PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body)
    {
        ChatCompletionRequest request = ChatCompletionRequest.Parse(body);
        (Cell cell, ServedModel model) = models.Require(caller, request.Options.Model);
        request.Options.RequireVocabulary(model.Tokenizer.VocabularySize);
        int[] prompt = PromptEncoder.Encode(model, request.Messages, time.GetUtcNow().UtcDateTime);
        var answers = new Answers(cell, model, request.Options, metrics);
        var header = new AnswerHeader($"chatcmpl-{Guid.NewGuid():n}", time.GetUtcNow().ToUnixTimeSeconds(), model.Name, model.Fingerprint);
        return new PendingAnswer(header.Id, request.Options.Stream, answers.Seed, request.Options.User, cancellation =>
        {
            IAsyncEnumerable<AnswerEvent> events = answers.RunAsync([prompt], model.ContextLength, cancellation);
            return request.Options.Stream ? StreamAsync(request.Options, model, header, events) : WholeAsync(request.Options, model, header, events);
        });
    }

    private static async IAsyncEnumerable<byte[]> StreamAsync(GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events)
    {
        var course = new StreamCourse(options);
        await foreach (AnswerEvent happened in events)
        {
            if (course.Take(happened))
            {
                yield return Chunk(header, options, model, happened.Choice, "", [], null, first: true);
            }

            if (!happened.Piece.IsEmpty)
            {
                yield return Chunk(header, options, model, happened.Choice, happened.Piece.Text, happened.Piece.Tokens, null, first: false);
            }

            if (happened.FinishReason is not null)
            {
                yield return Chunk(header, options, model, happened.Choice, null, [], happened.FinishReason, first: false);
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

    /// <summary>One chunk: the role first, then content, then an empty delta with the finish reason.</summary>
    private static byte[] Chunk(
        AnswerHeader header, GenerationOptions options, ServedModel model, int choice, string? content, IReadOnlyList<AnswerToken> tokens, string? finishReason, bool first) => JsonBody.Of(json =>
        {
            json.WriteStartObject();
            AnswerJson.WriteHeader(json, header, "chat.completion.chunk");
            json.WriteStartArray("choices");
            json.WriteStartObject();
            json.WriteNumber("index", choice);
            json.WriteStartObject("delta");
            if (first)
            {
                json.WriteString("role", "assistant");
            }

            if (content is not null)
            {
                json.WriteString("content", content);
            }

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

    private static async IAsyncEnumerable<byte[]> WholeAsync(GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events)
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
                json.WriteStartObject();
                json.WriteNumber("index", choice);
                json.WriteStartObject("message");
                json.WriteString("role", "assistant");
                json.WriteString("content", text.ToString());
                json.WriteNull("refusal");
                json.WriteEndObject();
                WriteLogProbs(json, options, model, tokens);
                json.WriteString("finish_reason", finishReason);
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
