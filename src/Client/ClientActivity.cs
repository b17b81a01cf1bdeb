using System.Diagnostics;

namespace Lamina.Client;

/// <summary>Trace spans of generations, source <c>Lamina.Client</c>, tags after OpenTelemetry's conventions for generative AI. Requests carry the span's context.</summary>
internal static class ClientActivity
{
    private static readonly ActivitySource s_source = new("Lamina.Client");

    /// <param name="parent">What asked for it, where that is not the activity of this moment.</param>
    public static Activity? Start(string operation, string? model, ActivityContext parent = default)
    {
        Activity? activity = s_source.StartActivity(model is null ? operation : $"{operation} {model}", ActivityKind.Client, parent);
        activity?.SetTag("gen_ai.operation.name", operation);
        activity?.SetTag("gen_ai.system", "lamina");
        activity?.SetTag("gen_ai.request.model", model);
        return activity;
    }

    public static void Usage(Activity? activity, TokenUsage? usage)
    {
        if (usage is not null)
        {
            activity?.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens);
            activity?.SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens);
        }
    }
}
