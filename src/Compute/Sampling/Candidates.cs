namespace Lamina.Compute.Sampling;

/// <summary>
/// The tokens that may still be chosen, by rising id, with their logits. Filters shrink it in place; probabilities are made when asked for.
/// Arrays are [vocabulary], allocated once.
/// </summary>
internal sealed class Candidates(int vocabularySize)
{
    private readonly int[] _ids = new int[vocabularySize];
    private readonly float[] _logits = new float[vocabularySize];
    private readonly float[] _weights = new float[vocabularySize];
    private readonly float[] _keys = new float[vocabularySize];
    private readonly RadixSelect _select = new();
    private bool _weighed;

    public int Count { get; private set; }

    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    public ReadOnlySpan<float> Logits => _logits.AsSpan(0, Count);

    /// <summary>Room for one key per candidate, for <see cref="KeepMass"/>.</summary>
    public Span<float> Keys => _keys.AsSpan(0, Count);

    /// <summary>Largest logit, valid after <see cref="Weigh"/>.</summary>
    public float Max { get; private set; }

    /// <summary>Sum of the weights, valid after <see cref="Weigh"/>.</summary>
    public double Total { get; private set; }

    /// <summary>Takes every token with a logit above minus infinity. The logits must have been sanitised.</summary>
    public void Load(ReadOnlySpan<float> logits)
    {
        int count = 0;
        for (int id = 0; id < logits.Length; id++)
        {
            _ids[count] = id;
            _logits[count] = logits[id];
            count += logits[id] > float.NegativeInfinity ? 1 : 0;
        }

        Count = count;
        _weighed = false;
    }

    /// <summary>
    /// Takes at least the <paramref name="count"/> largest logits and leaves out most others: the count-th largest of the maxima of small blocks is a bound that
    /// so many logits reach.
    /// </summary>
    public void LoadLargest(ReadOnlySpan<float> logits, int count)
    {
        int blocks = (logits.Length + Softmax.SmallBlock - 1) / Softmax.SmallBlock;
        if (count >= blocks / 2)
        {
            Load(logits);
            return;
        }

        Span<float> maxima = _keys.AsSpan(0, blocks);
        Softmax.BlockMaxima(logits, maxima);
        (uint bound, _) = _select.Find(maxima, default, count);
        int kept = 0;
        for (int block = 0; block < blocks; block++)
        {
            if (RadixSelect.Rank(maxima[block]) < bound)
            {
                continue;
            }

            int end = Math.Min((block + 1) * Softmax.SmallBlock, logits.Length);
            for (int id = block * Softmax.SmallBlock; id < end; id++)
            {
                _ids[kept] = id;
                _logits[kept] = logits[id];
                kept += RadixSelect.Rank(logits[id]) >= bound && logits[id] > float.NegativeInfinity ? 1 : 0;
            }
        }

        Count = kept;
        _weighed = false;
    }

    /// <summary>exp(logit − max) of each candidate: probabilities before division by <see cref="Total"/>.</summary>
    public ReadOnlySpan<float> Weigh()
    {
        if (!_weighed)
        {
            Max = Softmax.Sanitize(_logits.AsSpan(0, Count));
            Total = Softmax.Exponentiate(Logits, Max, _weights);
            _weighed = true;
        }

        return _weights.AsSpan(0, Count);
    }

    /// <summary>Shannon entropy in nats.</summary>
    public double Entropy()
    {
        ReadOnlySpan<float> weights = Weigh();
        double sum = 0;
        for (int i = 0; i < Count; i++)
        {
            if (weights[i] > 0)
            {
                sum += (double)weights[i] * (_logits[i] - Max);
            }
        }

        return Math.Log(Total) - sum / Total;
    }

    /// <summary>Index of a token among the candidates, or negative.</summary>
    public int IndexOf(int id) => Count > (uint)id && _ids[id] == id ? id : Array.BinarySearch(_ids, 0, Count, id);

    public void SetLogit(int index, float logit)
    {
        _logits[index] = logit;
        _weighed = false;
    }

    /// <summary>Divides the distances from the largest logit, which becomes 0: no overflow at small temperatures.</summary>
    public void DivideLogits(float temperature)
    {
        Weigh();
        for (int i = 0; i < Count; i++)
        {
            _logits[i] = (_logits[i] - Max) / temperature;
        }

        _weighed = false;
    }

    public void KeepLogitsFrom(float smallest)
    {
        int kept = 0;
        for (int i = 0; i < Count; i++)
        {
            _ids[kept] = _ids[i];
            _logits[kept] = _logits[i];
            kept += _logits[i] >= smallest ? 1 : 0;
        }

        Shrink(kept);
    }

    /// <summary>Keeps the <paramref name="count"/> largest logits, the lower id among equals.</summary>
    public void KeepTop(int count)
    {
        if (count < Count)
        {
            (uint key, int ties) = _select.Find(Logits, default, count);
            Keep(Logits, key, ties);
        }
    }

    /// <summary>Keeps the smallest set of highest keys whose probability reaches <paramref name="mass"/>, at least one candidate.</summary>
    /// <param name="keys">One per candidate.</param>
    public void KeepMass(ReadOnlySpan<float> keys, double mass)
    {
        (uint key, int ties) = _select.Find(keys, Weigh(), Math.Max(mass * Total, double.Epsilon));
        Keep(keys, key, Math.Max(ties, 1));
    }

    /// <summary>Removes all logits above the given one, and those equal to it but for the last, highest id.</summary>
    public void RemoveAbove(float logit)
    {
        int lastEqual = Logits.LastIndexOf(logit);
        int kept = 0;
        for (int i = 0; i < Count; i++)
        {
            bool keep = _logits[i] < logit || i == lastEqual;
            _ids[kept] = _ids[i];
            _logits[kept] = _logits[i];
            kept += keep ? 1 : 0;
        }

        Shrink(kept);
    }

    /// <summary>The candidate under the point <paramref name="uniform"/> of the cumulative distribution.</summary>
    public int Draw(double uniform)
    {
        ReadOnlySpan<float> weights = Weigh();
        return _ids[Softmax.Find(weights, uniform * Total)];
    }

    private void Keep(ReadOnlySpan<float> keys, uint threshold, int ties)
    {
        int kept = 0;
        for (int i = 0; i < Count; i++)
        {
            uint rank = RadixSelect.Rank(keys[i]);
            bool keep = rank > threshold || (rank == threshold && ties-- > 0);
            _ids[kept] = _ids[i];
            _logits[kept] = _logits[i];
            kept += keep ? 1 : 0;
        }

        Shrink(kept);
    }

    private void Shrink(int count)
    {
        _weighed &= count == Count;
        Count = count;
    }
}
