using Lamina.Compute.Kernels;

namespace Lamina.Node.Pipeline;

/// <summary>The largest logits of a row as a row of the whole vocabulary, for the sampler: minus infinity wherever none was picked.</summary>
internal sealed class PickedRow(int vocabularySize)
{
    private float[] _row = [];
    private int[] _spread = [];
    private int _count;

    public LargestLogits Found { get; } = new();

    /// <summary>The row of the i-th logit row; valid until the next call, and the sampler's to overwrite.</summary>
    public Span<float> Spread(int i)
    {
        if (_row.Length == 0)
        {
            _row = new float[vocabularySize];
            _row.AsSpan().Fill(float.NegativeInfinity);
        }

        Clear();
        ReadOnlySpan<int> ids = Found.Ids(i);
        ReadOnlySpan<float> values = Found.Values(i);
        if (_spread.Length < ids.Length)
        {
            _spread = new int[ids.Length];
        }

        ids.CopyTo(_spread);
        _count = ids.Length;
        for (int k = 0; k < ids.Length; k++)
        {
            _row[ids[k]] = values[k];
        }

        return _row;
    }

    public void Clear()
    {
        foreach (int id in _spread.AsSpan(0, _count))
        {
            _row[id] = float.NegativeInfinity;
        }

        _count = 0;
    }
}
