using Lamina.Coordinator.Api;

namespace Lamina.Coordinator.Quotas;

/// <summary>Refusals by quota in words.</summary>
internal static class QuotaErrors
{
    public static string Label(QuotaReason reason) => reason switch
    {
        QuotaReason.RequestsPerMinute => "requests_per_minute",
        QuotaReason.RequestsPerDay => "requests_per_day",
        QuotaReason.PromptTokensPerMinute => "prompt_tokens_per_minute",
        QuotaReason.PromptTokensPerDay => "prompt_tokens_per_day",
        QuotaReason.GeneratedTokensPerMinute => "generated_tokens_per_minute",
        QuotaReason.GeneratedTokensPerDay => "generated_tokens_per_day",
        QuotaReason.ConcurrentGenerations => "concurrent_generations",
        _ => "kv_bytes",
    };

    /// <summary>For a request that the limit can never admit.</summary>
    public static ApiError Exceeds(QuotaReason reason, long limit, long needed) => ApiError.ExceedsQuota(reason switch
    {
        QuotaReason.PromptTokensPerDay => $"the request has {needed} prompt tokens, but the limit is {limit} per day",
        QuotaReason.GeneratedTokensPerDay => $"the request may generate {needed} tokens (max_tokens for each choice), but the limit is {limit} per day; ask for fewer",
        QuotaReason.ConcurrentGenerations => $"the request needs {needed} generations at the same time (n for each prompt), but the limit is {limit}; ask for fewer",
        _ => $"the request may need {needed} bytes for the context of its generations (prompt and max_tokens for each choice), but the limit is {limit}; ask for fewer tokens or choices",
    });

    public static ApiError Of(QuotaReason reason, QuotaVerdict verdict)
    {
        // Rounded up: after that many seconds it fits, not almost.
        long seconds = Math.Max(1, (verdict.Decision.RetryMilliseconds + 999) / 1000);
        string what = reason switch
        {
            QuotaReason.RequestsPerMinute => "requests per minute",
            QuotaReason.RequestsPerDay => "requests per day",
            QuotaReason.PromptTokensPerMinute => "prompt tokens per minute",
            QuotaReason.PromptTokensPerDay => "prompt tokens per day",
            QuotaReason.GeneratedTokensPerMinute => "generated tokens per minute, of which the request's max_tokens are reserved",
            QuotaReason.GeneratedTokensPerDay => "generated tokens per day, of which the request's max_tokens are reserved",
            QuotaReason.ConcurrentGenerations => "generations at the same time",
            _ => "memory for the context of running generations",
        };
        return new ApiError(429, "rate_limit_error", "rate_limit_exceeded", $"the limit of {what} is reached; try again in {seconds} s", RetryAfterSeconds: (int)Math.Min(seconds, int.MaxValue))
        {
            Limits = verdict.Limits,
        };
    }
}
