using System.Diagnostics;
using Lamina.Cluster.Messages;

namespace Lamina.Node.Pipeline;

/// <summary>
/// Spans of what this node does for a generation: at the head from its arrival to its end, on each stage while it has a place there. They carry counts and names, never text.
/// Where nobody listens, or the caller was not traced, nothing is made.
/// </summary>
internal static class NodeTrace
{
    public const string SourceName = "Lamina.Node";

    private static readonly ActivitySource s_source = new(SourceName);

    public static bool IsOn => s_source.HasListeners();

    /// <summary>The span of a generation at its head; null where it is not traced.</summary>
    public static Activity? StartHead(GenerationProtocol.Submit submit)
    {
        Activity? span = Start("head", ActivityKind.Server, submit.TraceParent);
        span?.SetTag("lamina.tenant", submit.Tenant.Value);
        span?.SetTag("lamina.generation", submit.Generation.ToString());
        span?.SetTag("gen_ai.usage.input_tokens", submit.PromptTokens.Length);
        return span;
    }

    /// <param name="queued">How long the generation waited for its first step.</param>
    public static void Begun(Activity span, TimeSpan queued, int cachedTokens)
    {
        span.SetTag("lamina.queue_seconds", queued.TotalSeconds);
        span.SetTag("lamina.cached_tokens", cachedTokens);
    }

    /// <param name="outcome">Null when the pipeline was lost.</param>
    public static void End(Activity span, GenerationOutcome? outcome, int tokens)
    {
        span.SetTag("lamina.outcome", outcome?.ToString().ToLowerInvariant() ?? "lost");
        span.SetTag("gen_ai.usage.output_tokens", tokens);
        if (outcome is null or GenerationOutcome.Failed)
        {
            span.SetStatus(ActivityStatusCode.Error);
        }

        Stop(span);
    }

    public static Activity? StartStage(bool isLast, string? parent) => Start(isLast ? "tail" : "stage", ActivityKind.Internal, parent);

    public static void Stop(Activity span)
    {
        span.Stop();
        Activity.Current = null;
    }

    // A compute thread works for many generations at once, so that none of their spans is the current one.
    private static Activity? Start(string name, ActivityKind kind, string? parent)
    {
        Activity? span = ActivityContext.TryParse(parent, null, isRemote: true, out ActivityContext context) ? s_source.StartActivity(name, kind, context) : null;
        Activity.Current = null;
        return span;
    }
}
