using System.Collections.Immutable;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Generations;

/// <summary>
/// What a generation needs to go on after any loss: its submission and every token emitted. A pure value; tokens that come twice are dropped and tokens that would
/// leave a gap are refused, so that the stream has each index exactly once.
/// </summary>
/// <param name="Attempt">Submissions since the last new token: a stream that goes on is not the cause of the losses it meets.</param>
public sealed record GenerationState(GenerationProtocol.Submit Request, ImmutableList<int> Emitted, int Attempt)
{
    /// <summary>Of the emitted tokens, where the next ones depend on them; else empty.</summary>
    private ImmutableList<float> EmittedLogProbs { get; init; } = [];

    private bool KeepsLogProbs => Request.Sampling.Mirostat > 0;

    public static GenerationState Start(GenerationProtocol.Submit request) => new(request, [.. request.EmittedTokens], 0) { EmittedLogProbs = [.. request.EmittedLogProbs ?? []] };

    /// <summary>The submission to send: prompt, parameters and what was emitted so far.</summary>
    public GenerationProtocol.Submit Resume() => Request with { EmittedTokens = [.. Emitted], EmittedLogProbs = KeepsLogProbs ? [.. EmittedLogProbs] : null };

    /// <summary>True when every token asked for was emitted, so that a lost pipeline needs no successor.</summary>
    public bool IsComplete => Emitted.Count >= Request.MaxTokens;

    public GenerationState NextAttempt() => this with { Attempt = Attempt + 1 };

    /// <summary>
    /// Takes a head's tokens. <paramref name="fresh"/> are those not seen before, or null when the report cannot belong to this stream: a gap, more tokens than asked
    /// for, or arrays that do not fit together.
    /// </summary>
    public GenerationState Accept(GenerationProtocol.TokensGenerated report, out GenerationProtocol.TokensGenerated? fresh)
    {
        fresh = null;
        int count = report.Tokens.Length;
        bool inOrder = count > 0 && report.FirstIndex >= 0 && report.FirstIndex <= Emitted.Count && report.FirstIndex <= Request.MaxTokens - count;
        if (!inOrder || !IsShaped(report))
        {
            return this;
        }

        int seen = Math.Min(Emitted.Count - report.FirstIndex, count);
        int top = Request.Sampling.TopLogProbs;
        fresh = seen == 0 ? report : report with
        {
            FirstIndex = report.FirstIndex + seen,
            Tokens = report.Tokens[seen..],
            LogProbs = report.LogProbs.Length == 0 ? [] : report.LogProbs[seen..],
            TopIds = report.TopIds[(seen * top)..],
            TopLogProbs = report.TopLogProbs[(seen * top)..],
        };
        return fresh.Tokens.Length == 0 ? this : this with
        {
            Emitted = Emitted.AddRange(fresh.Tokens),
            EmittedLogProbs = KeepsLogProbs ? EmittedLogProbs.AddRange(fresh.LogProbs) : EmittedLogProbs,
            Attempt = 0,
        };
    }

    private bool IsShaped(GenerationProtocol.TokensGenerated report)
    {
        bool hasLogProbs = report.LogProbs.Length == report.Tokens.Length;
        return (hasLogProbs || (report.LogProbs.Length == 0 && !Request.Sampling.LogProbs && !KeepsLogProbs))
            && report.TopIds.Length == report.Tokens.Length * Request.Sampling.TopLogProbs
            && report.TopLogProbs.Length == report.TopIds.Length;
    }
}
