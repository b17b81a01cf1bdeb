using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>
/// Writes answers to responses. A request with an <c>Idempotency-Key</c> is kept and may be joined and resumed; any other lives and dies with its connection.
/// </summary>
/// <param name="shapes">How tenants' streams are hidden from watchers.</param>
internal sealed class Responder(GenerationArchive archive, Metering metering, IReadOnlyDictionary<TenantId, StreamOptions> shapes)
{
    private const int MaxKeyLength = 255;

    /// <param name="begin">Checks a request's body and prepares its answer under the name and seed given.</param>
    public async Task AnswerAsync(HttpContext context, Func<ReadOnlyMemory<byte>, AnswerOrigin, PendingAnswer> begin)
    {
        Caller caller = Caller.Of(context);
        ReadOnlyMemory<byte> body = await RequestBody.ReadAsync(context.Request);
        if (Key(context.Request) is { } key)
        {
            RetainedGeneration generation;
            using (await metering.EnterAsync(caller, context.RequestAborted))
            {
                byte[] hash = Hash(context.Request.Path, body);
                AnswerOrigin origin = AnswerOrigin.Of(caller, key, hash);
                generation = archive.Of(caller).Join(
                    caller, key, hash, () => begin(body, origin), (answer, cancellation) => metering.AdmitAsync(caller, answer, origin.Id, cancellation));
            }

            await WriteAsync(context, generation, After(context.Request));
            return;
        }

        PendingAnswer answer;
        using (await metering.EnterAsync(caller, context.RequestAborted))
        {
            answer = begin(body, AnswerOrigin.Random());
        }

        await AnswerAsync(context, caller, answer);
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

    private async Task WriteAsync(HttpContext context, RetainedGeneration generation, long after)
    {
        Describe(context, generation.Id, generation.Seed, generation.User);
        await WriteAsync(
            context, generation.Stream, generation.Typed, generation.ReadAsync(after, context.RequestAborted), () => generation.Receipt, () => generation.Limits?.WriteTo(context.Response.Headers));
        generation.Delivered();
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
        if (stream)
        {
            await SseWriter.WriteAsync(context, events, typed, receipt, begins, shapes.GetValueOrDefault(Caller.Of(context).Tenant));
            return;
        }

        await foreach (NumberedEvent whole in events)
        {
            begins?.Invoke();
            receipt()?.Sending(whole.TokensBefore, whole.Tokens);
            await JsonBody.WriteAsync(context, whole.Json);
        }
    }
}
