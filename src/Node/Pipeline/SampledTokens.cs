using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>A token chosen at the tail. <paramref name="Token"/> is -1 when none could be chosen.</summary>
internal readonly record struct SampledToken(int Slot, int Token, float LogProb, int FirstTop, int TopCount)
{
    public const int NoFiniteLogit = -1;
}

/// <summary>What the tail chose in one step, in the order of the step's logit rows. Refilled, never reallocated once warm.</summary>
internal sealed class SampledTokens
{
    private readonly List<SampledToken> _tokens = [];
    private TokenLogProb[] _top = [];
    private int _topCount;

    public int Count => _tokens.Count;

    public SampledToken this[int index] => _tokens[index];

    public ReadOnlySpan<TokenLogProb> Top(SampledToken token) => _top.AsSpan(token.FirstTop, token.TopCount);

    public void Clear()
    {
        _tokens.Clear();
        Array.Clear(_top, 0, _topCount);
        _topCount = 0;
    }

    /// <summary>Room for the most likely tokens of the entry that <see cref="Add"/> adds next.</summary>
    public Span<TokenLogProb> ReserveTop(int count)
    {
        if (_top.Length < _topCount + count)
        {
            Array.Resize(ref _top, Math.Max(_topCount + count, _top.Length * 2));
        }

        return _top.AsSpan(_topCount, count);
    }

    public void Add(int slot, int token, float logProb, int topCount)
    {
        _tokens.Add(new SampledToken(slot, token, logProb, _topCount, topCount));
        _topCount += topCount;
    }
}
