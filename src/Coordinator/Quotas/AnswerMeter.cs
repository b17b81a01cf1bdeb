namespace Lamina.Coordinator.Quotas;

/// <summary>Counts what one answer costs while it is made. Its generations count from several threads; whoever reads its events reads <see cref="HandedOut"/> after each.</summary>
/// <param name="least">What it needs at least, where its caller left open how long it may get; null when that is the same.</param>
internal sealed class AnswerMeter(string model, string digest, RequestCost cost, RequestCost? least = null)
{
    private long _generated;

    public string Model => model;

    /// <summary>Of the model's file.</summary>
    public string Digest => digest;

    public RequestCost Cost => cost;

    public RequestCost Least => least ?? cost;

    /// <summary>Tokens that were computed.</summary>
    public long Generated => Interlocked.Read(ref _generated);

    /// <summary>Tokens in the events that the reader has taken.</summary>
    public long HandedOut { get; set; }

    /// <summary>Of the plan that computes it, after a fail-over the one that went on; 0 before any does.</summary>
    public int Epoch { get; set; }

    /// <summary>As whom its generations run.</summary>
    public LaneShare Share { get; set; } = LaneShare.Nobody;

    public void CountGenerated() => Interlocked.Increment(ref _generated);
}
