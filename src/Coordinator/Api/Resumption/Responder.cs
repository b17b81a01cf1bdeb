using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// Writes answers to responses. A request with an <c>Idempotency-Key</c> is kept and may be joined and resumed; any other lives and dies with its connection.
/// </summary>
internal sealed class Responder(GenerationArchive archive)
{
    private const int MaxKeyLength = 255;

    /// <param name="begin">Checks a request's body and prepares its answer under the name and seed given.</param>
    public async Task AnswerAsync(HttpContext context, Func<ReadOnlyMemory<byte>, AnswerOrigin, PendingAnswer> begin)
    {
        ReadOnlyMemory<byte> body = await RequestBody.ReadAsync(context.Request);
        if (Key(context.Request) is { } key)
        {
            Caller caller = Caller.Of(context);
            byte[] hash = Hash(context.Request.Path, body);
            RetainedGeneration generation = archive.Of(caller).Join(caller, key, hash, () => begin(body, AnswerOrigin.Of(caller, key, hash)));
            await WriteAsync(context, generation, After(context.Request));
            return;
        }

        PendingAnswer answer = begin(body, AnswerOrigin.Random());
        Describe(context, answer.Id, answer.Seed, answer.User);
        IAsyncEnumerable<NumberedEvent> events = answer.Run(context.RequestAborted).Select((json, index) => new NumberedEvent(index + 1, json));
        await WriteAsync(context, answer.Stream, answer.Typed, events);
    }

    /// <summary>Goes on with a kept answer after an event.</summary>
    public Task ResumeAsync(HttpContext context, string id)
    {
        Caller caller = Caller.Of(context);
        RetainedGeneration generation = archive.Of(caller).Find(caller, id);
        return generation.Stream ? WriteAsync(context, generation, After(context.Request)) : throw ApiError.NotStreamed().AsException();
    }

    /// <summary>Ends a kept answer and forgets it.</summary>
    public void Cancel(HttpContext context, string id)
    {
        Caller caller = Caller.Of(context);
        TenantGenerations generations = archive.Of(caller);
        generations.Remove(generations.Find(caller, id));
    }

    /// <summary>The last event that the caller has, from the <c>after</c> parameter or the <c>Last-Event-ID</c> header; 0 when it has none.</summary>
    private static long After(HttpRequest request)
    {
        string? text = request.Query.TryGetValue("after", out var after) ? after.ToString() : request.Headers.TryGetValue("Last-Event-ID", out var last) ? last.ToString() : null;
        return text is null ? 0
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number < long.MaxValue ? number
            : throw ApiError.InvalidValue(after.Count > 0 ? "after" : "Last-Event-ID", "the number of the last event must be an integer from 0").AsException();
    }

    private static string? Key(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Idempotency-Key", out var values))
        {
            return null;
        }

        string key = values.ToString();
        return key.Length is > 0 and <= MaxKeyLength && key.All(c => c is >= ' ' and <= '~')
            ? key
            : throw ApiError.InvalidValue("Idempotency-Key", $"the Idempotency-Key header must have 1 to {MaxKeyLength} printable ASCII characters").AsException();
    }

    private static byte[] Hash(string path, ReadOnlyMemory<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(path + "\n"));
        hash.AppendData(body.Span);
        return hash.GetHashAndReset();
    }

    private static Task WriteAsync(HttpContext context, RetainedGeneration generation, long after)
    {
        Describe(context, generation.Id, generation.Seed, generation.User);
        return WriteAsync(context, generation.Stream, generation.Typed, generation.ReadAsync(after, context.RequestAborted));
    }

    private static void Describe(HttpContext context, string id, ulong seed, string? user)
    {
        RequestLog.Describe(context, id, user);
        context.Response.Headers["X-Lamina-Generation"] = id;
        context.Response.Headers["X-Lamina-Seed"] = seed.ToString(CultureInfo.InvariantCulture);
    }

    private static async Task WriteAsync(HttpContext context, bool stream, bool typed, IAsyncEnumerable<NumberedEvent> events)
    {
        if (stream)
        {
            await SseWriter.WriteAsync(context, events, typed);
            return;
        }

        await foreach (NumberedEvent whole in events)
        {
            await JsonBody.WriteAsync(context, whole.Json);
        }
    }
}
