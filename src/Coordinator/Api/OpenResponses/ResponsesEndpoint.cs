using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Models;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api.OpenResponses;

/// <summary>
/// OpenAI's Responses API: <c>POST /v1/responses</c>, and reading, listing the input of and deleting what it stored. A response is stored in memory, for as long as answers
/// are kept for callers that lost their connection.
/// </summary>
internal sealed class ResponsesEndpoint(ModelLookup models, ApiMetrics metrics, TimeProvider time, Responder responder, GenerationArchive archive)
{
    public const string Route = "/v1/responses";
    public const string ItemRoute = "/v1/responses/{id}";
    public const string InputRoute = "/v1/responses/{id}/input_items";

    private const int DefaultPage = 20;
    private const int LargestPage = 100;

    public void Map(IEndpointRouteBuilder routes)
    {
        responder.Map(routes, Route, (caller, body, origin) => Begin(caller, body, priority: 0, origin));
        routes.MapGet(ItemRoute, GetAsync);
        routes.MapDelete(ItemRoute, DeleteAsync);
        routes.MapGet(InputRoute, ListInputAsync);
    }

    internal PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority) => Begin(caller, body, priority, AnswerOrigin.Random());

    private PendingAnswer Begin(Caller caller, ReadOnlyMemory<byte> body, int priority, AnswerOrigin origin)
    {
        ResponsesRequest request = ResponsesRequest.Parse(body);
        request = request with { Options = origin.Seeded(request.Options) };
        StoredResponses stored = archive.Of(caller).Responses;
        bool keeps = archive.KeepsResponses;
        if (request.Store == true && !keeps)
        {
            throw ApiError.InvalidValue("store", "'store' can only be false: this server keeps nothing").AsException();
        }

        IReadOnlyList<ChatMessage> earlier = request.PreviousResponseId is { } previous ? stored.Find(caller, previous, "previous_response_id").Messages : [];
        (Cell cell, ServedModel model) = models.RequireGenerator(caller, request.Options.Model);
        request.Options.RequireVocabulary(model.Tokenizer.VocabularySize);
        ChatMessage[] messages = [.. earlier, .. request.Conversation.Messages];
        ChatConversation conversation = request.Conversation with
        {
            Messages = request.Instructions is { } instructions ? [new ChatMessage("system", instructions, null), .. messages] : messages,
        };
        int[] prompt = PromptEncoder.Encode(model, conversation, time.GetUtcNow().UtcDateTime, out bool opensReasoning, "input");
        ChatForm form = ChatForm.Of(model.ToolFormat, conversation.Tools, request.Options.Sampling.Grammar is not null, opensReasoning);
        var answers = new Answers(cell, model, request.Options.WithAdapters(model, caller).WithTools(conversation.Tools, model.ToolFormat, opensReasoning) with { Priority = priority }, metrics, model.ControlTokens(form.Shows));
        string id = $"resp_{origin.Id:n}";
        bool stores = request.Store ?? keeps;
        var course = new ResponseCourse(id, time.GetUtcNow().ToUnixTimeSeconds(), request.Echo with { Store = stores }, model, form, time);
        return new PendingAnswer(id, request.Options.Stream, answers.Seed, request.Options.User, cancellation => RunAsync(answers.RunAsync([prompt], model.ContextLength, cancellation)))
        {
            Typed = true,
            Meter = answers.Measure([prompt], model.ContextLength),
        };

        async IAsyncEnumerable<byte[]> RunAsync(IAsyncEnumerable<AnswerEvent> events)
        {
            await foreach (AnswerEvent happened in events)
            {
                if (happened.Error is { } error && (!course.HasBegun || !request.Options.Stream))
                {
                    throw error.AsException();
                }

                IReadOnlyList<byte[]> said = course.Take(happened);
                if (course.IsOver && stores && happened.Error is null)
                {
                    stored.Add(id, caller, course.ToJson(), request.Input, [.. messages, course.ToMessage()]);
                }

                foreach (byte[] json in request.Options.Stream ? said : [])
                {
                    yield return json;
                }
            }

            if (!request.Options.Stream)
            {
                yield return course.ToJson();
            }
        }
    }

    private Task GetAsync(HttpContext context)
    {
        if (context.Request.Query.Keys.FirstOrDefault() is { } parameter)
        {
            throw ApiError.Unsupported(parameter.Length <= ApiLimits.MaxNameLength ? parameter : "query").AsException();
        }

        return JsonBody.WriteAsync(context, Find(context).Json);
    }

    private Task DeleteAsync(HttpContext context)
    {
        StoredResponse stored = Find(context);
        archive.Of(Caller.Of(context)).Responses.Remove(stored);
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", stored.Id);
            json.WriteString("object", "response");
            json.WriteBoolean("deleted", true);
            json.WriteEndObject();
        });
    }

    /// <summary>Newest first unless <c>order=asc</c>; <c>limit</c> items behind the one that <c>after</c> names.</summary>
    private Task ListInputAsync(HttpContext context)
    {
        IQueryCollection query = context.Request.Query;
        IEnumerable<JsonObject> items = Find(context).Input;
        items = query["order"].ToString() switch
        {
            "asc" => items,
            "" or "desc" => items.Reverse(),
            _ => throw ApiError.InvalidValue("order", "'order' must be asc or desc").AsException(),
        };
        if (query["after"].ToString() is { Length: > 0 } after)
        {
            items = items.SkipWhile(item => IdOf(item) != after).Skip(1);
        }

        int limit = DefaultPage;
        if (query["limit"].ToString() is { Length: > 0 } text && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out limit) || limit is < 1 or > LargestPage))
        {
            throw ApiError.InvalidValue("limit", $"'limit' must be an integer from 1 to {LargestPage}").AsException();
        }

        JsonObject[] rest = [.. items.Take(limit + 1)], page = [.. rest.Take(limit)];
        return JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "list");
            json.WriteStartArray("data");
            foreach (JsonObject item in page)
            {
                item.WriteTo(json);
            }

            json.WriteEndArray();
            json.WriteString("first_id", page.FirstOrDefault() is { } first ? IdOf(first) : null);
            json.WriteString("last_id", page.LastOrDefault() is { } last ? IdOf(last) : null);
            json.WriteBoolean("has_more", rest.Length > page.Length);
            json.WriteEndObject();
        });
    }

    private StoredResponse Find(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        return archive.Of(caller).Responses.Find(caller, (string)context.GetRouteValue("id")!);
    }

    private static string? IdOf(JsonObject item) => item["id"]?.GetValue<string>();
}
