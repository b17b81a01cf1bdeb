using Lamina.Compute.Model;
using Lamina.Compute.Model.Adapters;

namespace Lamina.Node.Pipeline;

/// <summary>Cache operations that precede the rows of a step. Numbers are frozen: they go over the wire.</summary>
internal enum OperationCode
{
    /// <summary>slot: empties the slot's table; at the tail also forgets its sequence.</summary>
    Release = 1,

    /// <summary>count, blocks: zeroes them.</summary>
    Clear = 2,

    /// <summary>source, destination: copies a block.</summary>
    Copy = 3,

    /// <summary>slot, token count, settings bytes, tokens, settings (padded to words): a sequence begins with that history.</summary>
    Open = 4,

    /// <summary>slot, count, blocks: appends them to the slot's table.</summary>
    Append = 5,

    /// <summary>slot, count of words, then per adapter its number and the bits of its scale: what the slot's rows pass through until it is released.</summary>
    Adapt = 6,
}

/// <summary>
/// Operations as the 32-bit words that travel. The head writes them once, every stage (the head too) reads them with <see cref="OperationReader"/>, so that all block
/// tables change alike and in the same order.
/// </summary>
internal sealed class OperationBuffer
{
    private int[] _words = UnmovedArray.New<int>(256);
    private int _count;

    public ReadOnlySpan<int> Words => _words.AsSpan(0, _count);

    public bool IsEmpty => _count == 0;

    /// <summary>Forgets the operations and overwrites what they held: an opened sequence's prompt among it.</summary>
    public void Clear()
    {
        Array.Clear(_words, 0, _count);
        _count = 0;
    }

    public void Release(int slot)
    {
        Span<int> words = Take(2);
        words[0] = (int)OperationCode.Release;
        words[1] = slot;
    }

    public void ClearBlocks(ReadOnlySpan<int> blocks)
    {
        if (!blocks.IsEmpty)
        {
            Span<int> words = Take(2 + blocks.Length);
            words[0] = (int)OperationCode.Clear;
            words[1] = blocks.Length;
            blocks.CopyTo(words[2..]);
        }
    }

    public void CopyBlock(int source, int destination)
    {
        Span<int> words = Take(3);
        words[0] = (int)OperationCode.Copy;
        words[1] = source;
        words[2] = destination;
    }

    /// <param name="settings">Sampling settings in their wire form.</param>
    public void Open(int slot, ReadOnlySpan<int> tokens, ReadOnlySpan<byte> settings)
    {
        int settingsWords = (settings.Length + 3) / 4;
        Span<int> words = Take(4 + tokens.Length + settingsWords);
        words[0] = (int)OperationCode.Open;
        words[1] = slot;
        words[2] = tokens.Length;
        words[3] = settings.Length;
        tokens.CopyTo(words[4..]);
        Span<int> tail = words[(4 + tokens.Length)..];
        tail.Clear();
        settings.CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(tail));
    }

    public void Append(int slot, ReadOnlySpan<int> blocks)
    {
        if (!blocks.IsEmpty)
        {
            Span<int> words = Take(3 + blocks.Length);
            words[0] = (int)OperationCode.Append;
            words[1] = slot;
            words[2] = blocks.Length;
            blocks.CopyTo(words[3..]);
        }
    }

    public void Adapt(int slot, ReadOnlySpan<AdapterUse> uses)
    {
        if (!uses.IsEmpty)
        {
            Span<int> words = Take(3 + (uses.Length * 2));
            words[0] = (int)OperationCode.Adapt;
            words[1] = slot;
            words[2] = uses.Length * 2;
            for (int i = 0; i < uses.Length; i++)
            {
                words[3 + (i * 2)] = uses[i].Adapter;
                words[4 + (i * 2)] = BitConverter.SingleToInt32Bits(uses[i].Scale);
            }
        }
    }

    /// <summary>Takes over words that came from elsewhere; they are checked when read.</summary>
    public void Load(ReadOnlySpan<int> words)
    {
        Clear();
        words.CopyTo(Take(words.Length));
    }

    private Span<int> Take(int words)
    {
        if (words > _words.Length - _count)
        {
            int[] grown = UnmovedArray.New<int>(Math.Max(checked(_count + words), _words.Length * 2));
            Words.CopyTo(grown);
            Array.Clear(_words, 0, _count);
            _words = grown;
        }

        Span<int> taken = _words.AsSpan(_count, words);
        _count += words;
        return taken;
    }
}
