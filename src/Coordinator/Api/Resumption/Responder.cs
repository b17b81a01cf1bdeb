using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>Checks a request's body and prepares its answer under the name and seed given.</summary>
internal delegate PendingAnswer BeginKept(Caller caller, ReadOnlyMemory<byte> body, AnswerOrigin origin);

/// <summary>
/// Writes answers to responses. A request with an <c>Idempotency-Key</c> is kept and may be joined and resumed; any other lives and dies with its connection.
/// </summary>
/// <param name="shapes">How tenants' streams are hidden from watchers.</param>
internal sealed class Responder(GenerationArchive archive, Metering metering, IReadOnlyDictionary<TenantId, StreamOptions> shapes)
{
    private const int MaxKeyLength = 255;

    private readonly Dictionary<string, BeginKept> _endpoints = new(StringComparer.Ordinal);

    /// <summary>Answers requests to an endpoint. What is kept may also be asked for at another coordinator, which then answers it by the same endpoint of its own.</summary>
    /// <param name="begin">Checks a request's body and prepares its answer under the name and seed given.</param>
    public void Map(IEndpointRouteBuilder routes, string route, BeginKept begin)
    {
        _endpoints[route] = begin;
        routes.MapPost(route, context => AnswerAsync(context, route, begin));
    }

    private async Task AnswerAsync(HttpContext context, string route, BeginKept begin)
    {
        Caller caller = Caller.Of(context);
        if (Key(context.Request) is { } key)
        {
            await AnswerKeptAsync(context, caller, route, key, begin);
            return;
        }

        // Before it is read, and again before it is parsed: reading may take long.
        metering.RequireRequestsLeft(caller);
        PendingAnswer pending;
        using (RequestBody body = await metering.ReadAsync(context))
        {
            metering.RequireRequestsLeft(caller);
            using (await metering.EnterAsync(caller, context.RequestAborted))
            {
                pending = begin(caller, body.Bytes, AnswerOrigin.Random());
            }
        }

        await AnswerAsync(context, caller, pending);
    }

    private async Task AnswerKeptAsync(HttpContext context, Caller caller, string route, string key, BeginKept begin)
    {
        KeptAnswer answer;
        using (RequestBody body = await metering.ReadAsync(context))
        {
            byte[] hash = Hash(route, body.Bytes.Span);
            TenantGenerations generations = archive.Of(caller);
            if (!generations.Knows(caller, key) && generations.Mirror?.Others.FindRepeated(caller, key) is { } elsewhere)
            {
                answer = CryptographicOperations.FixedTimeEquals(elsewhere.RequestHash, hash)
                    ? new KeptAnswer(generations, caller, elsewhere, TakeOverAsync)
                    : throw ApiError.IdempotencyKeyReused().AsException();
            }
            else
            {
                // From here on the memory of kept answers has room for it.
                var request = new KeptRequest(route, body.Bytes, new AnswerCourse());
                answer = new KeptAnswer(generations, caller, await JoinAsync(caller, key, hash, request, begin, context.RequestAborted), TakeOverAsync);
            }
        }

        await WriteAsync(context, answer, After(context.Request));
    }

    private async Task<RetainedGeneration> JoinAsync(Caller caller, string key, byte[] hash, KeptRequest request, BeginKept begin, CancellationToken cancellation)
    {
        using (await metering.EnterAsync(caller, cancellation))
        {
            AnswerOrigin origin = AnswerOrigin.Of(caller, key, hash) with { Course = request.Course };
            return archive.Of(caller).Join(caller, key, hash, Begin, (answer, stop) => metering.AdmitAsync(caller, answer, origin.Id, stop, request.Usage), request);

            PendingAnswer Begin()
            {
                // An answer that goes on from another coordinator was begun already: it is for its admission to tell.
                if (request.Usage is null)
                {
                    metering.RequireRequestsLeft(caller);
                }

                PendingAnswer answer = begin(caller, request.Body, origin);
                return request.Model is null || request.Model == answer.Meter.Digest ? answer : throw ApiError.ModelReplaced().AsException();
            }
        }
    }

    /// <summary>Goes on here with an answer whose coordinator is gone; null when it is not known any more.</summary>
    private async Task<RetainedGeneration?> TakeOverAsync(Caller caller, MirroredAnswer answer, CancellationToken cancellation)
    {
        GenerationMirror mirror = archive.Of(caller).Mirror!;
        if (!_endpoints.TryGetValue(answer.Request.Route, out BeginKept? begin) || mirror.Others.Continue(answer) is not { } request)
        {
            return null;
        }

        mirror.Took(answer);
        return await JoinAsync(caller, answer.Request.RepeatKey, answer.RequestHash, request, begin, cancellation);
    }

    private async Task AnswerAsync(HttpContext context, Caller caller, PendingAnswer answer)
    {
        using MeteredAnswer metered = await metering.AdmitAsync(caller, answer, Guid.Empty, context.RequestAborted);
        Describe(context, answer.Id, answer.Seed, answer.User);
        metered.Limits.WriteTo(context.Response.Headers);
        UsageOutcome outcome = UsageOutcome.Failed;
        try
        {
            await WriteAsync(context, answer.Stream, answer.Typed, metered.RunAsync(context.RequestAborted), () => metered.Receipt);
            outcome = UsageOutcome.Completed;
        }
        catch (OperationCanceledException)
        {
            outcome = UsageOutcome.Cancelled;
            throw;
        }
        finally
        {
            metered.Receipt.Close(outcome);
        }
    }

    /// <summary>Goes on with a kept answer after an event, wherever it is made.</summary>
    public Task ResumeAsync(HttpContext context, string id)
    {
        Caller caller = Caller.Of(context);
        TenantGenerations generations = archive.Of(caller);
        KeptAnswer answer = generations.TryFind(caller, id) is { } own ? new KeptAnswer(generations, caller, own, TakeOverAsync)
            : generations.Mirror?.Others.Find(caller, id) is { } elsewhere ? new KeptAnswer(generations, caller, elsewhere, TakeOverAsync)
            : throw ApiError.GenerationNotFound().AsException();
        return answer.Stream ? WriteAsync(context, answer, After(context.Request)) : throw ApiError.NotStreamed().AsException();
    }

    /// <summary>Ends a kept answer and forgets it, wherever it is made.</summary>
    public async Task CancelAsync(HttpContext context, string id)
    {
        Caller caller = Caller.Of(context);
        TenantGenerations generations = archive.Of(caller);
        if (generations.TryFind(caller, id) is null && generations.Mirror is { } mirror && mirror.Others.Find(caller, id) is { } elsewhere)
        {
            await mirror.CancelAsync(elsewhere, context.RequestAborted);
            return;
        }

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

    /// <summary>Tells requests apart.</summary>
    internal static byte[] Hash(string path, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(path + "\n"));
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }

    private async Task WriteAsync(HttpContext context, KeptAnswer answer, long after)
    {
        Describe(context, answer.Id, answer.Seed, answer.User);
        await WriteAsync(
            context, answer.Stream, answer.Typed, answer.ReadAsync(after, context.RequestAborted), () => answer.Own?.Receipt, () => answer.Own?.Limits?.WriteTo(context.Response.Headers));
        answer.Own?.Delivered();
    }

    private static void Describe(HttpContext context, string id, ulong seed, string? user)
    {
        RequestLog.Describe(context, id, user);
        context.Response.Headers["X-Lamina-Generation"] = id;
        context.Response.Headers["X-Lamina-Seed"] = seed.ToString(CultureInfo.InvariantCulture);
    }

    /// <param name="receipt">Where what is sent is counted; known once there is an event.</param>
    /// <param name="begins">Called before the response begins.</param>
    private async Task WriteAsync(HttpContext context, bool stream, bool typed, IAsyncEnumerable<NumberedEvent> events, Func<Receipt?> receipt, Action? begins = null)
    {
        TenantId tenant = Caller.Of(context).Tenant;
        try
        {
            if (stream)
            {
                await SseWriter.WriteAsync(context, events, typed, receipt, begins, shapes.GetValueOrDefault(tenant));
                return;
            }

            await foreach (NumberedEvent whole in events)
            {
                begins?.Invoke();
                receipt()?.Sending(whole.TokensBefore, whole.Tokens);
                await JsonBody.WriteAsync(context, whole.Json);
            }
        }
        catch (StalledReaderException)
        {
            metering.CountStalled(tenant);
            throw;
        }
    }
}
