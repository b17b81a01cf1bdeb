
namespace Lamina.Compute.Tokenization.Merging;

/// <summary>
/// Merges neighbouring symbols, always the pair of lowest priority value and among equals the leftmost, until none is left that may merge. Short pieces by
/// looking at all pairs each time, long ones with a heap in O(n log n).
/// </summary>
internal static class SymbolMerger
{
    private const int ShortPiece = 32;

    /// <summary>Merges in place; returns how many symbols are left at the front of <paramref name="symbols"/>.</summary>
    public static int Merge<TRules>(ReadOnlySpan<byte> text, Span<Symbol> symbols, TRules rules)
        where TRules : struct, IMergeRules, allows ref struct
        => symbols.Length <= ShortPiece ? MergeShort(text, symbols, rules) : MergeLong(text, symbols, rules);

    private static int MergeShort<TRules>(ReadOnlySpan<byte> text, Span<Symbol> symbols, TRules rules)
        where TRules : struct, IMergeRules, allows ref struct
    {
        // Priority of the pair that begins at each symbol; one above any priority where it may not merge.
        const ulong None = ulong.MaxValue;
        Span<ulong> priorities = stackalloc ulong[ShortPiece];
        Span<int> merged = stackalloc int[ShortPiece];
        int count = symbols.Length;
        for (int i = 0; i + 1 < count; i++)
        {
            priorities[i] = rules.TryMerge(text, symbols[i], symbols[i + 1], out uint priority, out merged[i]) ? priority : None;
        }

        while (count > 1)
        {
            int best = 0;
            for (int i = 1; i + 1 < count; i++)
            {
                best = priorities[i] < priorities[best] ? i : best;
            }

            if (priorities[best] == None)
            {
                break;
            }

            symbols[best] = new Symbol(symbols[best].Start, symbols[best + 1].End, merged[best]);
            symbols[(best + 2)..count].CopyTo(symbols[(best + 1)..]);
            priorities[(best + 2)..count].CopyTo(priorities[(best + 1)..]);
            merged[(best + 2)..count].CopyTo(merged[(best + 1)..]);
            count--;

            for (int i = Math.Max(0, best - 1); i <= best && i + 1 < count; i++)
            {
                priorities[i] = rules.TryMerge(text, symbols[i], symbols[i + 1], out uint priority, out merged[i]) ? priority : None;
            }
        }

        return count;
    }

    private static int MergeLong<TRules>(ReadOnlySpan<byte> text, Span<Symbol> symbols, TRules rules)
        where TRules : struct, IMergeRules, allows ref struct
    {
        const int Gone = -2;
        int[] nextOf = Scratch.Take<int>(symbols.Length);
        int[] previousOf = Scratch.Take<int>(symbols.Length);
        var pairs = new PriorityQueue<(int Left, int End, int Merged), ulong>(symbols.Length);
        for (int i = 0; i < symbols.Length; i++)
        {
            nextOf[i] = i + 1 < symbols.Length ? i + 1 : -1;
            previousOf[i] = i - 1;
            if (i > 0)
            {
                Offer(text, symbols, i - 1, i, rules, pairs);
            }
        }

        while (pairs.TryDequeue(out (int Left, int End, int Merged) pair, out _))
        {
            // Either side may have merged otherwise since the pair was offered.
            int left = pair.Left;
            int right = nextOf[left];
            if (right < 0 || symbols[right].End != pair.End)
            {
                continue;
            }

            symbols[left] = new Symbol(symbols[left].Start, pair.End, pair.Merged);
            int next = nextOf[right];
            nextOf[right] = Gone;
            nextOf[left] = next;
            if (next >= 0)
            {
                previousOf[next] = left;
                Offer(text, symbols, left, next, rules, pairs);
            }

            if (previousOf[left] >= 0)
            {
                Offer(text, symbols, previousOf[left], left, rules, pairs);
            }
        }

        int count = 0;
        for (int i = 0; i >= 0; i = nextOf[i])
        {
            symbols[count++] = symbols[i];
        }

        Scratch.Clear(nextOf);
        Scratch.Clear(previousOf);
        return count;
    }

    private static void Offer<TRules>(
        ReadOnlySpan<byte> text, Span<Symbol> symbols, int left, int right, TRules rules, PriorityQueue<(int Left, int End, int Merged), ulong> pairs)
        where TRules : struct, IMergeRules, allows ref struct
    {
        if (rules.TryMerge(text, symbols[left], symbols[right], out uint priority, out int merged))
        {
            pairs.Enqueue((left, symbols[right].End, merged), ((ulong)priority << 32) | (uint)left);
        }
    }
}
