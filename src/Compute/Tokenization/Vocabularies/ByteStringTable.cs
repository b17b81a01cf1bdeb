using System.Numerics;
using System.Runtime.InteropServices;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>Distinct byte strings numbered in the order they came, in one array, with a hash index whose seed differs per process.</summary>
internal sealed class ByteStringTable
{
    private const ulong Multiplier = 0x9E3779B97F4A7C15;

    private static readonly ulong Seed = (ulong)Random.Shared.NextInt64();

    private byte[] bytes;
    private int[] ends;
    private int[] slots;

    public ByteStringTable(int expectedCount = 16)
    {
        bytes = new byte[Math.Max(64, expectedCount * 8)];
        ends = new int[Math.Max(4, expectedCount)];
        slots = new int[BitOperations.RoundUpToPowerOf2((uint)Math.Max(8, expectedCount * 2))];
    }

    public int Count { get; private set; }

    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            int start = index == 0 ? 0 : ends[index - 1];
            return bytes.AsSpan(start, ends[index] - start);
        }
    }

    public static uint Hash(ReadOnlySpan<byte> value)
    {
        ulong hash = Seed ^ ((ulong)value.Length * Multiplier);
        while (value.Length >= 8)
        {
            hash = Mix(hash ^ MemoryMarshal.Read<ulong>(value));
            value = value[8..];
        }

        ulong tail = 0;
        for (int i = value.Length - 1; i >= 0; i--)
        {
            tail = (tail << 8) | value[i];
        }

        hash = Mix(hash ^ tail);
        return (uint)(hash >> 32);
    }

    /// <summary>Number of a string, or -1.</summary>
    public int Find(ReadOnlySpan<byte> value) => Find(value, Hash(value));

    public int Find(ReadOnlySpan<byte> value, uint hash)
    {
        int[] slots = this.slots;
        uint mask = (uint)slots.Length - 1;
        for (uint slot = hash & mask; slots[slot] != 0; slot = (slot + 1) & mask)
        {
            int index = slots[slot] - 1;
            if (this[index].SequenceEqual(value))
            {
                return index;
            }
        }

        return -1;
    }

    public int GetOrAdd(ReadOnlySpan<byte> value)
    {
        uint hash = Hash(value);
        int found = Find(value, hash);
        if (found >= 0)
        {
            return found;
        }

        Append(value);
        if (Count * 2 > slots.Length)
        {
            Rehash();
        }
        else
        {
            Insert(hash, Count - 1);
        }

        return Count - 1;
    }

    private static ulong Mix(ulong value)
    {
        value *= Multiplier;
        return value ^ (value >> 29);
    }

    private void Append(ReadOnlySpan<byte> value)
    {
        int used = Count == 0 ? 0 : ends[Count - 1];
        if (value.Length > Array.MaxLength - used)
        {
            throw new InvalidDataException($"the vocabulary's texts exceed {Array.MaxLength} bytes");
        }

        if (used + value.Length > bytes.Length)
        {
            Array.Resize(ref bytes, (int)Math.Min(Array.MaxLength, Math.Max((long)bytes.Length * 2, used + value.Length)));
        }

        if (Count == ends.Length)
        {
            Array.Resize(ref ends, Count * 2);
        }

        value.CopyTo(bytes.AsSpan(used));
        ends[Count++] = used + value.Length;
    }

    private void Insert(uint hash, int index)
    {
        uint mask = (uint)slots.Length - 1;
        uint slot = hash & mask;
        while (slots[slot] != 0)
        {
            slot = (slot + 1) & mask;
        }

        slots[slot] = index + 1;
    }

    private void Rehash()
    {
        slots = new int[slots.Length * 2];
        for (int index = 0; index < Count; index++)
        {
            Insert(Hash(this[index]), index);
        }
    }
}
