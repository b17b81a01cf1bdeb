using System.Numerics;
using System.Runtime.InteropServices;

namespace Lamina.Compute.Tokenization.Merging;

/// <summary>
/// Remembers, within one text, where a piece was encoded before: words repeat. It refers to the text and to the ids already written and lives no longer than the call,
/// so nothing of a prompt stays.
/// </summary>
internal readonly ref struct PieceMemo : IDisposable
{
    private const int MaxSlots = 8192;
    private const int MaxPieceBytes = 64;

    private readonly Slot[] slots;
    private readonly uint mask;

    public PieceMemo(int textLength)
    {
        int count = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(textLength / 16, 1, MaxSlots));
        slots = Scratch.Take<Slot>(count);
        slots.AsSpan(0, count).Clear();
        mask = (uint)count - 1;
    }

    /// <summary>Repeats the ids of an equal piece; false when it was not seen lately.</summary>
    public bool TryRepeat(ReadOnlySpan<byte> text, ReadOnlySpan<byte> piece, uint hash, List<int> ids)
    {
        Slot slot = slots[hash & mask];
        if (slot.Hash != hash || slot.Length != piece.Length || !text.Slice(slot.Start, slot.Length).SequenceEqual(piece))
        {
            return false;
        }

        ids.AddRange(CollectionsMarshal.AsSpan(ids).Slice(slot.FirstId, slot.Ids));
        return true;
    }

    public void Remember(int start, int length, uint hash, int firstId, int idCount)
    {
        if (length <= MaxPieceBytes)
        {
            slots[hash & mask] = new Slot(hash, start, length, firstId, idCount);
        }
    }

    public void Dispose() => Scratch.Clear(slots);

    private readonly record struct Slot(uint Hash, int Start, int Length, int FirstId, int Ids);
}
