namespace Lamina.Node.Scheduling;

/// <summary>Sequences in the order of <see cref="Sequence.Compare"/>.</summary>
internal sealed class SequenceQueue
{
    private readonly List<Sequence> _items = [];

    public int Count => _items.Count;

    public Sequence this[int index] => _items[index];

    public void Add(Sequence sequence) => _items.Insert(~_items.BinarySearch(sequence, s_order), sequence);

    public void Remove(Sequence sequence) => _items.RemoveAt(_items.BinarySearch(sequence, s_order));

    private static readonly Comparer<Sequence> s_order = Comparer<Sequence>.Create(Sequence.Compare);
}
