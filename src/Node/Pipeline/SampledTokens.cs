using Lamina.Compute.Sampling;

namespace Lamina.Node.Pipeline;

/// <summary>What the tail gave for a sequence: a token, or (<paramref name="Token"/> is negative) none. The numbers go over the wire.</summary>
internal readonly record struct SampledToken(int Slot, int Token, float LogProb, int FirstTop, int TopCount, int FirstValue = 0, int ValueCount = 0)
{
    /// <summary>The model gave no finite logit.</summary>
    public const int NoFiniteLogit = -1;

    /// <summary>The grammar leaves no token.</summary>
    public const int GrammarExhausted = -2;

    /// <summary>The text's embedding stands here instead.</summary>
    public const int Embedded = -3;

    /// <summary>The grammar is still being compiled: the same row is to be asked again.</summary>
    public const int NotReady = -4;
}

/// <summary>What the tail chose in one step, in the order of the step's logit rows. Refilled, never reallocated once warm.</summary>
internal sealed class SampledTokens
{
    private readonly List<SampledToken> _tokens = [];
    private TokenLogProb[] _top = [];
    private int _topCount;
    private float[] _values = [];
    private int _valueCount;

    public int Count => _tokens.Count;

    public SampledToken this[int index] => _tokens[index];

    public ReadOnlySpan<TokenLogProb> Top(SampledToken token) => _top.AsSpan(token.FirstTop, token.TopCount);

    /// <summary>The embedding of a text; empty of a token.</summary>
    public ReadOnlySpan<float> Values(SampledToken token) => _values.AsSpan(token.FirstValue, token.ValueCount);

    public void Clear()
    {
        _tokens.Clear();
        Array.Clear(_top, 0, _topCount);
        Array.Clear(_values, 0, _valueCount);
        (_topCount, _valueCount) = (0, 0);
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

    /// <summary>Room for the embedding of the entry that <see cref="Add"/> adds next.</summary>
    public Span<float> ReserveValues(int count)
    {
        if (_values.Length < _valueCount + count)
        {
            float[] grown = new float[Math.Max(_valueCount + count, _values.Length * 2)];
            _values.AsSpan(0, _valueCount).CopyTo(grown);
            Array.Clear(_values);
            _values = grown;
        }

        return _values.AsSpan(_valueCount, count);
    }

    public void Add(int slot, int token, float logProb, int topCount, int valueCount = 0)
    {
        _tokens.Add(new SampledToken(slot, token, logProb, _topCount, topCount, _valueCount, valueCount));
        _topCount += topCount;
        _valueCount += valueCount;
    }
}
