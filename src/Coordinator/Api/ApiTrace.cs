using System.Diagnostics;
using Lamina.Cluster.Messages;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Api;

/// <summary>
/// Spans of requests and of their generations, source <c>Lamina.Coordinator</c>; a caller's <c>traceparent</c> is their parent, and submissions carry them on to the heads.
/// They carry routes, names of deployed models and counts, never text. Where nobody listens, nothing is made.
/// </summary>
internal static class ApiTrace
{
    public const string SourceName = "Lamina.Coordinator";

    private static readonly ActivitySource s_source = new(SourceName);

    /// <summary>Null where nobody listens.</summary>
    public static Activity? StartRequest(HttpContext context)
    {
        if (!s_source.HasListeners())
        {
            return null;
        }

        // The web server's own activity is exported by nobody: it must not stand between the caller's span and this one.
        Activity.Current = null;
        string route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
        ActivityContext.TryParse(context.Request.Headers.TraceParent, context.Request.Headers.TraceState, isRemote: true, out ActivityContext parent);
        Activity? span = s_source.StartActivity($"{Method(context)} {route}", ActivityKind.Server, parent);
        span?.SetTag("http.request.method", Method(context));
        span?.SetTag("http.route", route);
        return span;
    }

    public static void EndRequest(Activity? span, int status, string? id)
    {
        span?.SetTag("http.response.status_code", status);
        span?.SetTag("gen_ai.response.id", id);
        span?.SetStatus(status >= 500 ? ActivityStatusCode.Error : ActivityStatusCode.Unset);
    }

    /// <summary>Null where nobody listens, or where the request is not sampled.</summary>
    public static Activity? StartGeneration(TenantId tenant, string model, int promptTokens)
    {
        Activity? span = s_source.StartActivity("generate", ActivityKind.Client);
        span?.SetTag("gen_ai.system", "lamina");
        span?.SetTag("gen_ai.request.model", model);
        span?.SetTag("lamina.tenant", tenant.Value);
        span?.SetTag("gen_ai.usage.input_tokens", promptTokens);
        return span;
    }

    public static void EndGeneration(Activity? span, GenerationOutcome outcome, int tokens)
    {
        span?.SetTag("gen_ai.usage.output_tokens", tokens);
        span?.SetTag("lamina.outcome", outcome.ToString().ToLowerInvariant());
        span?.SetStatus(outcome == GenerationOutcome.Failed ? ActivityStatusCode.Error : ActivityStatusCode.Unset);
    }

    // What stands there is the caller's: only the methods that routes know are repeated.
    private static string Method(HttpContext context) => context.Request.Method switch
    {
        "GET" or "POST" or "DELETE" or "PUT" or "PATCH" or "HEAD" or "OPTIONS" => context.Request.Method,
        _ => "_OTHER",
    };
}
