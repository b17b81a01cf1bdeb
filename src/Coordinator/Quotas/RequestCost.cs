namespace Lamina.Coordinator.Quotas;

/// <summary>What a request is taken to cost before it runs. Prompt tokens are counted; of generated ones as many are reserved as it may at most produce.</summary>
/// <param name="Generations">Choices over all prompts.</param>
/// <param name="KvBytes">Key/value cache when all generations reach their full length.</param>
public readonly record struct RequestCost(long PromptTokens, long GeneratedTokens, int Generations, long KvBytes);

/// <summary>Why a request was refused; a closed set, which metrics use as labels.</summary>
public enum QuotaReason
{
    RequestsPerMinute,
    RequestsPerDay,
    PromptTokensPerMinute,
    PromptTokensPerDay,
    GeneratedTokensPerMinute,
    GeneratedTokensPerDay,
    ConcurrentGenerations,
    KvBytes,
}
