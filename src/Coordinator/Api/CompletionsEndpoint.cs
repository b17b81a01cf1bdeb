using System.Globalization;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary><c>POST /v1/completions</c>.</summary>
internal sealed class CompletionsEndpoint(ModelLookup models, ApiMetrics metrics, TimeProvider time)
{
    public const string Route = "/v1/completions";

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost(Route, HandleAsync);

    private async Task HandleAsync(HttpContext context)
    {
        CompletionRequest request = CompletionRequest.Parse(await RequestBody.ReadAsync(context.Request));
        (Cell cell, ServedModel model) = models.Require(Caller.Of(context), request.Options.Model);
        request.Options.RequireVocabulary(model.Tokenizer.VocabularySize);
        int[][] prompts = [.. request.Prompts.Select((prompt, i) => PromptEncoder.Encode(model, prompt, request.Prompts.Count == 1 ? "prompt" : $"prompt[{i}]"))];
        var answers = new Answers(cell, model, request.Options, metrics);
        var header = new AnswerHeader($"cmpl-{Guid.NewGuid():n}", time.GetUtcNow().ToUnixTimeSeconds(), model.Name, model.Fingerprint);
        RequestLog.Describe(context, header.Id, request.Options.User);
        context.Response.Headers["X-Lamina-Seed"] = answers.Seed.ToString(CultureInfo.InvariantCulture);
        IAsyncEnumerable<AnswerEvent> events = answers.RunAsync(prompts, CompletionRequest.DefaultMaxTokens, context.RequestAborted);
        await (request.Options.Stream
            ? StreamAsync(context, request.Options, model, header, events)
            : WriteWholeAsync(context, request.Options, model, header, events, prompts.Length * request.Options.Choices));
    }

    private static async Task StreamAsync(HttpContext context, GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events)
    {
        var stream = new AnswerStream(context, options);
        await foreach (AnswerEvent happened in events)
        {
            if (!await stream.BeginAsync(happened, openChoice: null))
            {
                return;
            }

            await stream.SendAsync(JsonBody.Of(json =>
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
            }));
        }

        await stream.EndAsync(usage => JsonBody.Of(json =>
        {
            json.WriteStartObject();
            AnswerJson.WriteHeader(json, header, "text_completion");
            json.WriteStartArray("choices");
            json.WriteEndArray();
            AnswerJson.WriteUsage(json, usage);
            json.WriteEndObject();
        }));
    }

    private static async Task WriteWholeAsync(
        HttpContext context, GenerationOptions options, ServedModel model, AnswerHeader header, IAsyncEnumerable<AnswerEvent> events, int choices)
    {
        WholeAnswers whole = await WholeAnswers.CollectAsync(events, choices, options.Choices);
        await JsonBody.WriteAsync(context, json =>
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
