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

/// <summary><c>POST /v1/completions</c>.</summary>
internal sealed class CompletionsEndpoint(ModelLookup models, ApiMetrics metrics, TimeProvider time, Responder responder)
{
    public const string Route = "/v1/completions";

    public void Map(IEndpointRouteBuilder routes) => responder.Map(routes, Route, (caller, body, origin) => Begin(caller, body, priority: 0, origin));

    /// <param name="priority">Of its generations against others; higher comes first.</param>
    internal PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority) => Begin(caller, body, priority, AnswerOrigin.Random());

    private PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority, AnswerOrigin origin)
    {
        CompletionRequest request = CompletionRequest.Parse(body);
        request = request with { Options = origin.Seeded(request.Options) };
        (Cell cell, ServedModel model) = models.RequireGenerator(caller, request.Options.Model);
        request.Options.RequireVocabulary(model.Tokenizer.VocabularySize);
        int[][] prompts = [.. request.Prompts.Select((prompt, i) => PromptEncoder.Encode(model, prompt, request.Prompts.Count == 1 ? "prompt" : $"prompt[{i}]"))];
        var answers = new Answers(cell, model, request.Options.WithAdapters(model, caller) with { Priority = priority }, metrics);
        var header = new AnswerHeader($"cmpl-{origin.Id:n}", time.GetUtcNow().ToUnixTimeSeconds(), model.Name, model.Fingerprint);
        return new PendingAnswer(header.Id, request.Options.Stream, answers.Seed, request.Options.User, cancellation =>
        {
            IAsyncEnumerable<AnswerEvent> events = answers.RunAsync(prompts, CompletionRequest.DefaultMaxTokens, cancellation);
            return request.Options.Stream
                ? StreamAsync(request.Options, model, header, events)
                : WholeAsync(request.Options, model, header, events, prompts.Length * request.Options.Choices);
        })
        {
            Meter = answers.Measure(prompts, CompletionRequest.DefaultMaxTokens),
        };
    }

    private static async IAsyncEnumerable<byte[]> StreamAsync(GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events)
    {
        var course = new StreamCourse(options);
        await foreach (AnswerEvent happened in events)
        {
            course.Take(happened);
            if (happened.IsOpening)
            {
                continue;
            }

            yield return JsonBody.Of(json =>
            {
                json.WriteStartObject();
                AnswerJson.WriteHeader(json, header, "text_completion");
                json.WriteStartArray("choices");
                WriteChoice(json, options, model, happened.Choice, happened.Piece.Text ?? "", happened.Piece.Tokens ?? [], happened.FinishReason);
                json.WriteEndArray();
                if (options.IncludeUsage)
                {
                    json.WriteNull("usage");
                }

                json.WriteEndObject();
            });
        }

        if (options.IncludeUsage)
        {
            yield return JsonBody.Of(json =>
            {
                json.WriteStartObject();
                AnswerJson.WriteHeader(json, header, "text_completion");
                json.WriteStartArray("choices");
                json.WriteEndArray();
                AnswerJson.WriteUsage(json, course.Usage);
                json.WriteEndObject();
            });
        }
    }

    private static async IAsyncEnumerable<byte[]> WholeAsync(
        GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events, int choices)
    {
        WholeAnswers whole = await WholeAnswers.CollectAsync(events, choices, options.Choices);
        yield return JsonBody.Of(json =>
        {
            json.WriteStartObject();
            AnswerJson.WriteHeader(json, header, "text_completion");
            json.WriteStartArray("choices");
            for (int choice = 0; choice < whole.Choices.Count; choice++)
            {
                (StringBuilder text, List<AnswerToken> tokens, string finishReason) = whole.Choices[choice];
                WriteChoice(json, options, model, choice, text.ToString(), tokens, finishReason);
            }

            json.WriteEndArray();
            AnswerJson.WriteUsage(json, whole.Usage);
            json.WriteEndObject();
        });
    }

    private static void WriteChoice(
        Utf8JsonWriter json, GenerationOptions options, ServedModel model, int choice, string text, IReadOnlyList<AnswerToken> tokens, string? finishReason)
    {
        json.WriteStartObject();
        json.WriteString("text", text);
        json.WriteNumber("index", choice);
        if (options.LogProbs)
        {
            AnswerJson.WriteCompletionLogProbs(json, tokens, model.Tokenizer);
        }
        else
        {
            json.WriteNull("logprobs");
        }

        json.WriteString("finish_reason", finishReason);
        json.WriteEndObject();
    }
}
