namespace Lamina.Compute.Sampling;

/// <summary>A token with the natural logarithm of its probability; minus infinity means probability zero.</summary>
public readonly record struct TokenLogProb(int Id, float LogProb);

/// <summary>
/// Chooses tokens for one sequence. A pure function of (logits, history, parameters, position): no hidden state, so a
/// generation resumed elsewhere goes on as if nothing had happened. Reuses its workspace; no allocation per token.
/// </summary>
public sealed class TokenSampler
{
    public TokenSampler(SamplingParameters parameters, int vocabularySize) => throw new NotImplementedException();

    /// <summary>
    /// Chooses the next token. <paramref name="logits"/> [vocabulary] is overwritten. NaN counts as minus infinity; when no finite logit is left, throws
    /// <see cref="InvalidDataException"/>.
    /// </summary>
    /// <param name="history">Prompt and emitted tokens, oldest first; the new token's position is its length.</param>
    /// <param name="top">Receives the most likely tokens, best first; its length is <see cref="SamplingParameters.TopLogProbs"/>.</param>
    public TokenLogProb Sample(Span<float> logits, ReadOnlySpan<int> history, Span<TokenLogProb> top) => throw new NotImplementedException();
}
