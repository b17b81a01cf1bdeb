using System.Numerics;

namespace Lamina.Compute.Tokenization.Merging;

/// <summary>Merges by the pair of symbols they join: rank and result.</summary>
internal sealed class PairTable
{
    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64() | 1;

    // Key 0 marks an empty slot; symbol numbers are stored plus one.
    private readonly Entry[] entries;
    private readonly uint mask;

    public PairTable(int capacity)
    {
        entries = new Entry[BitOperations.RoundUpToPowerOf2((uint)Math.Max(8, capacity) * 2)];
        mask = (uint)entries.Length - 1;
    }

    /// <summary>The first of equal pairs counts.</summary>
    public void TryAdd(int left, int right, int rank, int merged)
    {
        ref Entry entry = ref Slot(Key(left, right));
        if (entry.Key == 0)
        {
            entry = new Entry(Key(left, right), rank, merged);
        }
    }

    public bool TryGet(int left, int right, out int rank, out int merged)
    {
        ref readonly Entry entry = ref Slot(Key(left, right));
        rank = entry.Rank;
        merged = entry.Merged;
        return entry.Key != 0;
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)(left + 1) << 32) | (uint)(right + 1);

    private ref Entry Slot(ulong key)
    {
        ulong hash = (key ^ Seed) * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 32)) * 0xBF58476D1CE4E5B9;
        uint slot = (uint)(hash >> 32) & mask;
        while (entries[slot].Key != 0 && entries[slot].Key != key)
        {
            slot = (slot + 1) & mask;
        }

        return ref entries[slot];
    }

    private readonly record struct Entry(ulong Key, int Rank, int Merged);
}
