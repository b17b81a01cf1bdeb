using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model.Adapters;

/// <summary>
/// The adapters that a stage holds beside its weights, and which of them each sequence slot uses. Sequences with different adapters share a batch. What is kept of a
/// sequence (its key/value blocks) depends on its adapters; sharing it with others is for its owner to refuse.
/// </summary>
public sealed class StageAdapters : IDisposable
{
    /// <summary>Most adapters that one sequence passes through.</summary>
    public const int MaxUses = 8;

    private readonly ModelShape _shape;
    private readonly LayerRange _layers;
    private readonly Weights _weights;
    private readonly WorkerTeam _team;
    private readonly List<Held?> _held = [];
    private readonly bool _supported;

    /// <summary>[slots].</summary>
    private readonly AdapterUse[][] _uses;

    internal StageAdapters(ModelShape shape, LayerRange layers, Weights weights, WorkerTeam team, int slots, bool supported)
    {
        _supported = supported;
        _shape = shape;
        _layers = layers;
        _weights = weights;
        _team = team;
        _uses = [.. Enumerable.Repeat(Array.Empty<AdapterUse>(), slots)];
    }

    /// <summary>Bytes held for all adapters.</summary>
    public long MemoryBytes => _held.Sum(adapter => adapter?.Bytes ?? 0);

    /// <summary>Numbers given so far, of adapters unloaded since included.</summary>
    internal int Count => _held.Count;

    internal int LargestRank => _held.Max(adapter => adapter?.LargestRank ?? 0);

    /// <summary>
    /// Packs the stage's part of an adapter, and returns its number: the same on every stage that loads and unloads the same adapters in the same order.
    /// A stage without any changed matrix holds nothing, yet knows the number.
    /// </summary>
    public int Load(ITensorSource tensors, AdapterShape adapter)
    {
        adapter.CheckArchitecture(_shape);
        if (!_supported)
        {
            throw new NotSupportedException("adapters are not supported on GPUs; a node with --device cpu takes them");
        }

        int number = _held.IndexOf(null) is var free and >= 0 ? free : _held.Count;
        var held = new Held();
        try
        {
            foreach (Linear linear in _weights.Linears)
            {
                AdapterDelta[] deltas = [.. Deltas(tensors, linear, adapter.Alpha)];
                if (deltas.Length > 0)
                {
                    held.Own(deltas, linear);
                    linear.SetDeltas(number, deltas);
                }
            }

            if (_layers.First == 0)
            {
                LoadEmbedding(tensors, adapter.Alpha, number, held);
            }
        }
        catch
        {
            held.Release(number);
            throw;
        }

        if (number == _held.Count)
        {
            _held.Add(held);
        }
        else
        {
            _held[number] = held;
        }

        return number;
    }

    /// <summary>Gives an adapter's memory back; no slot may use it any more.</summary>
    public void Unload(int number)
    {
        if ((uint)number >= (uint)_held.Count || _held[number] is not { } held)
        {
            throw new ArgumentException($"the stage holds no adapter {number}", nameof(number));
        }

        if (Array.FindIndex(_uses, uses => Array.Exists(uses, use => use.Adapter == number)) is var slot and >= 0)
        {
            throw new ArgumentException($"adapter {number} is in use by slot {slot}", nameof(number));
        }

        held.Release(number);
        _held[number] = null;
    }

    /// <summary>Says what the rows of a slot pass through from the next step on, in this order; nothing for the model as it is.</summary>
    public void Assign(int slot, ReadOnlySpan<AdapterUse> uses)
    {
        if ((uint)slot >= (uint)_uses.Length)
        {
            throw new ArgumentException($"slot {slot} does not exist, the stage has {_uses.Length}", nameof(slot));
        }

        if (uses.Length > MaxUses)
        {
            throw new ArgumentException($"a sequence uses at most {MaxUses} adapters, {uses.Length} were given", nameof(uses));
        }

        foreach (AdapterUse use in uses)
        {
            if ((uint)use.Adapter >= (uint)_held.Count || _held[use.Adapter] is null)
            {
                throw new ArgumentException($"the stage holds no adapter {use.Adapter}", nameof(uses));
            }

            if (!float.IsFinite(use.Scale))
            {
                throw new ArgumentException($"an adapter's scale is {use.Scale}, expected a finite number", nameof(uses));
            }
        }

        _uses[slot] = uses.IsEmpty ? [] : uses.ToArray();
    }

    public void Dispose()
    {
        for (int number = 0; number < _held.Count; number++)
        {
            _held[number]?.Release(number);
        }
    }

    internal ReadOnlySpan<AdapterUse> Uses(int slot) => _uses[slot];

    private List<AdapterDelta> Deltas(ITensorSource tensors, Linear linear, float alpha)
    {
        var deltas = new List<AdapterDelta>();
        foreach (LinearSource source in linear.Sources)
        {
            var target = new AdapterTarget(source.Tensor, linear.Columns, source.Rows, source.Parts);
            if (!target.IsLookup && AdapterPair.Find(target, tensors) is { } pair)
            {
                deltas.Add(AdapterDelta.Pack(_team, pair, source.Part, source.FirstOutput, alpha));
            }
        }

        return deltas;
    }

    private void LoadEmbedding(ITensorSource tensors, float alpha, int number, Held held)
    {
        var target = new AdapterTarget(AdapterTarget.Embedding, _shape.EmbeddingLength, _shape.VocabularySize, 1);
        if (AdapterPair.Find(target, tensors) is { } pair)
        {
            AdapterDelta delta = AdapterDelta.Pack(_team, pair, 0, 0, alpha);
            held.Own([delta], _weights.EmbeddingDeltas);
            _weights.EmbeddingDeltas.SetDeltas(number, [delta]);
        }
    }

    /// <summary>One adapter's memory and where it was hung up.</summary>
    private sealed class Held
    {
        private readonly List<(AdapterDelta[] Deltas, AdapterDeltas Place)> _parts = [];

        public long Bytes => _parts.Sum(part => part.Deltas.Sum(delta => delta.Bytes));

        public int LargestRank => _parts.Count == 0 ? 0 : _parts.Max(part => part.Deltas.Max(delta => delta.Rank));

        public void Own(AdapterDelta[] deltas, AdapterDeltas place) => _parts.Add((deltas, place));

        public void Release(int number)
        {
            foreach ((AdapterDelta[] deltas, AdapterDeltas place) in _parts)
            {
                place.SetDeltas(number, null);
                Array.ForEach(deltas, delta => delta.Dispose());
            }

            _parts.Clear();
        }
    }
}
