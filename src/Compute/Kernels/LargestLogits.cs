namespace Lamina.Compute.Kernels;

/// <summary>The largest finite logits of some rows, unordered, with what makes probabilities of them. Refilled every step; zeroed on release.</summary>
public sealed class LargestLogits
{
    private int[] _ids = [];
    private float[] _values = [];
    private int[] _counts = [];
    private float[] _normalisers = [];
    private int _most;

    /// <summary>Makes room for <paramref name="rows"/> rows of up to <paramref name="most"/> logits.</summary>
    internal void Reserve(int rows, int most)
    {
        if (_counts.Length < rows || _ids.Length < rows * most)
        {
            Clear();
            _ids = new int[rows * most];
            _values = new float[rows * most];
            _counts = new int[rows];
            _normalisers = new float[rows];
        }

        _most = most;
    }

    /// <summary>Token ids of a row, ⟨count⟩ of them.</summary>
    public ReadOnlySpan<int> Ids(int row) => _ids.AsSpan(row * _most, _counts[row]);

    public ReadOnlySpan<float> Values(int row) => _values.AsSpan(row * _most, _counts[row]);

    /// <summary>ln of the sum of e^logit over the whole row.</summary>
    public float LogNormaliser(int row) => _normalisers[row];

    internal void Set(int row, float logNormaliser, ReadOnlySpan<int> ids, ReadOnlySpan<float> values)
    {
        _counts[row] = ids.Length;
        _normalisers[row] = logNormaliser;
        ids.CopyTo(_ids.AsSpan(row * _most));
        values.CopyTo(_values.AsSpan(row * _most));
    }

    public void Clear()
    {
        _ids.AsSpan().Clear();
        _values.AsSpan().Clear();
        _normalisers.AsSpan().Clear();
    }
}
