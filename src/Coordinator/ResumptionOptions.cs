namespace Lamina.Coordinator;

/// <summary>How long and in how much memory answers are kept for callers that lost their connection; only requests with an <c>Idempotency-Key</c> are kept.</summary>
public sealed record ResumptionOptions
{
    /// <summary>Seconds that an answer is kept after its end.</summary>
    public int RetentionSeconds { get; init; } = 120;

    /// <summary>Seconds that a generation goes on while nobody reads it; then it is cancelled.</summary>
    public int GraceSeconds { get; init; } = 30;

    /// <summary>Events that a kept answer may be ahead of whoever reads it; beyond them its computation pauses. While nobody reads, it goes on.</summary>
    public int ReadAheadEvents { get; init; } = 256;

    /// <summary>Memory for kept answers, per tenant. When it is used up the oldest ended answers go first, then events that were read; then generations wait for their readers.</summary>
    public long BytesPerTenant { get; init; } = 64 << 20;
}
