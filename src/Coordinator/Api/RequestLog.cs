using System.Buffers;
using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api;

/// <summary>
/// One line, one count and one span per request: route, status, time, the answer's id and the caller's name for its user. Never a word of prompts or answers. Gives each request
/// an id, the caller's <c>X-Request-Id</c> where it is a plain one, which the response and every entry that is logged meanwhile carry.
/// </summary>
internal sealed class RequestLog(ILogger logger, ApiMetrics metrics)
{
    public const string IdHeader = "X-Request-Id";

    private const int MaxIdLength = 64;

    private static readonly SearchValues<char> s_idCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private sealed record Description(string Id, string? User);

    /// <summary>Adds what the endpoint learnt of the request.</summary>
    public static void Describe(HttpContext context, string id, string? user) => context.Features.Set(new Description(id, user));

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        long start = Stopwatch.GetTimestamp();
        string request = IdOf(context.Request.Headers[IdHeader]);
        context.TraceIdentifier = request;

        // An error clears what was set before it: the id is set last.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers[IdHeader] = request;
            return Task.CompletedTask;
        });
        using IDisposable? scope = logger.BeginScope(new KeyValuePair<string, object?>[] { new("request", request) });
        using Activity? span = ApiTrace.StartRequest(context);
        try
        {
            await next(context);
        }
        finally
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            string route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
            int status = context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted ? 499 : context.Response.StatusCode;
            metrics.CountRequest(route, status, elapsed);
            Description? description = context.Features.Get<Description>();
            ApiTrace.EndRequest(span, status, description?.Id);
            logger.LogDebug("{Route} {Status} in {Milliseconds:0.0} ms, {Id}, user {User}", route, status, elapsed.TotalMilliseconds, description?.Id, description?.User);
        }
    }

    private static string IdOf(string? given) =>
        given is { Length: > 0 and <= MaxIdLength } && !given.AsSpan().ContainsAnyExcept(s_idCharacters) ? given : Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
}
