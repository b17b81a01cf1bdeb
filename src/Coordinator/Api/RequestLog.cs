using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api;

/// <summary>One line and one count per request: route, status, time, the answer's id and the caller's name for its user. Never a word of prompts or answers.</summary>
internal sealed class RequestLog(ILogger logger, ApiMetrics metrics)
{
    private sealed record Description(string Id, string? User);

    /// <summary>Adds what the endpoint learnt of the request.</summary>
    public static void Describe(HttpContext context, string id, string? user) => context.Features.Set(new Description(id, user));

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        long start = Stopwatch.GetTimestamp();
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
            logger.LogDebug("{Route} {Status} in {Milliseconds:0.0} ms, {Id}, user {User}", route, status, elapsed.TotalMilliseconds, description?.Id, description?.User);
        }
    }
}
