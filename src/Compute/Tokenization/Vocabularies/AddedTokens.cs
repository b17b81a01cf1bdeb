using System.Buffers;
using System.Text.Unicode;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>
/// Control and user-defined tokens, found in a text before anything else. Longer tokens go first, wherever they stand; among occurrences of equally long
/// ones the lower id, then the earlier. One pass of an Aho-Corasick automaton finds the occurrences, so the cost does not grow with the number of tokens.
/// </summary>
internal sealed class AddedTokens
{
    private readonly Vocabulary vocabulary;
    private readonly ByteTrie trie = new();
    private readonly SearchValues<byte> firstBytes;

    // By rank: ids, longest text first.
    private readonly int[] ids;

    // By node: the longest proper suffix that is a node, and the longest suffix (proper) that is a token's end; 0 for none.
    private readonly int[] fallback;
    private readonly int[] shorter;

    public AddedTokens(Vocabulary vocabulary)
    {
        this.vocabulary = vocabulary;
        ids = Rank(vocabulary);
        var first = new HashSet<byte>();
        for (int rank = ids.Length - 1; rank >= 0; rank--)
        {
            trie.Add(vocabulary.Text(ids[rank]), rank);
            first.Add(vocabulary.Text(ids[rank])[0]);
        }

        firstBytes = SearchValues.Create([.. first]);
        fallback = new int[trie.Nodes];
        shorter = new int[trie.Nodes];
        LinkSuffixes();
    }

    /// <summary>Cuts a text at its added tokens.</summary>
    /// <param name="trusted">Byte ranges, in order and apart, within which tokens for trusted text count.</param>
    public List<TextFragment> Split(ReadOnlySpan<byte> text, ReadOnlySpan<(int Start, int End)> trusted)
    {
        var found = Find(text, trusted);
        found.Sort(static (a, b) => a.Start.CompareTo(b.Start));

        var fragments = new List<TextFragment>((found.Count * 2) + 1);
        int position = 0;
        foreach (TextFragment token in found)
        {
            if (token.Start > position)
            {
                fragments.Add(new TextFragment(position, token.Start, -1));
            }

            fragments.Add(token);
            position = token.End;
        }

        if (position < text.Length)
        {
            fragments.Add(new TextFragment(position, text.Length, -1));
        }

        return fragments;
    }

    private static int[] Rank(Vocabulary vocabulary)
    {
        var ids = new List<int>();
        int total = 0;
        for (int id = 0; id < vocabulary.Count; id++)
        {
            int length = vocabulary.Text(id).Length;
            if (length == 0 || !vocabulary.Has(id, TokenAttributes.Control | TokenAttributes.UserDefined | TokenAttributes.Unknown))
            {
                continue;
            }

            total += length;
            if (length > TokenizerLimits.AddedTokenBytes || total > TokenizerLimits.AddedTokensBytes)
            {
                throw new InvalidDataException(
                    $"control and user-defined tokens have {total} bytes up to token {id} of {length} bytes, expected at most {TokenizerLimits.AddedTokensBytes} and {TokenizerLimits.AddedTokenBytes}");
            }

            // Else a match could cut a character of the text in two.
            if (!Utf8.IsValid(vocabulary.Text(id)))
            {
                throw new InvalidDataException($"the control or user-defined token {id} is not valid UTF-8");
            }

            ids.Add(id);
        }

        return [.. ids.OrderByDescending(id => vocabulary.Text(id).Length)];
    }

    private void LinkSuffixes()
    {
        int[] depth = new int[trie.Nodes];
        int[] order = new int[trie.Nodes];
        for (int node = 1; node < depth.Length; node++)
        {
            depth[node] = depth[trie.ParentOf(node).Parent] + 1;
            order[node] = node;
        }

        // A node's fallback is shallower than the node.
        Array.Sort(depth, order);
        foreach (int node in order.AsSpan(1))
        {
            (int parent, byte label) = trie.ParentOf(node);
            int suffix = parent == 0 ? 0 : Step(fallback[parent], label);
            fallback[node] = suffix;
            shorter[node] = trie.Value(suffix) >= 0 ? suffix : shorter[suffix];
        }
    }

    private int Step(int node, byte label)
    {
        int child = trie.Child(node, label);
        while (child == 0 && node != 0)
        {
            node = fallback[node];
            child = trie.Child(node, label);
        }

        return child;
    }

    private List<TextFragment> Find(ReadOnlySpan<byte> text, ReadOnlySpan<(int Start, int End)> trusted)
    {
        var found = new List<TextFragment>();
        PriorityQueue<Occurrence, ulong>? candidates = null;
        int node = 0;
        for (int position = 0; position < text.Length; position++)
        {
            if (node == 0)
            {
                int skip = text[position..].IndexOfAny(firstBytes);
                if (skip < 0)
                {
                    break;
                }

                position += skip;
            }

            node = Step(node, text[position]);
            if (TryLongest(node, position + 1, int.MaxValue, trusted, out Occurrence occurrence))
            {
                (candidates ??= new()).Enqueue(occurrence, occurrence.Priority);
            }
        }

        if (candidates is null)
        {
            return found;
        }

        byte[] taken = Scratch.Take<byte>(text.Length);
        taken.AsSpan(0, text.Length).Clear();
        while (candidates.TryDequeue(out Occurrence candidate, out _))
        {
            int length = vocabulary.Text(ids[candidate.Rank]).Length;
            int lastTaken = taken.AsSpan(candidate.End - length, length).LastIndexOf((byte)1);
            if (lastTaken < 0)
            {
                found.Add(Take(text, taken, candidate, length));
            }
            else if (lastTaken < length - 1 && TryLongest(candidate.Node, candidate.End, length - lastTaken - 1, trusted, out Occurrence fits))
            {
                candidates.Enqueue(fits, fits.Priority);
            }
        }

        Scratch.Clear(taken);
        return found;
    }

    /// <summary>The longest token of at most <paramref name="maxLength"/> bytes that ends here and may be used here.</summary>
    private bool TryLongest(int node, int end, int maxLength, ReadOnlySpan<(int Start, int End)> trusted, out Occurrence occurrence)
    {
        node = trie.Value(node) >= 0 ? node : shorter[node];
        for (; node != 0; node = shorter[node])
        {
            int id = ids[trie.Value(node)];
            int length = vocabulary.Text(id).Length;
            if (length <= maxLength && (!vocabulary.Has(id, TokenAttributes.TrustedOnly) || IsWithin(trusted, end - length, end)))
            {
                occurrence = new Occurrence(trie.Value(node), end, node);
                return true;
            }
        }

        occurrence = default;
        return false;
    }

    private static bool IsWithin(ReadOnlySpan<(int Start, int End)> ranges, int start, int end)
    {
        int low = 0;
        int high = ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (ranges[middle].End <= start)
            {
                low = middle + 1;
            }
            else if (ranges[middle].Start > start)
            {
                high = middle - 1;
            }
            else
            {
                return end <= ranges[middle].End;
            }
        }

        return false;
    }

    /// <summary>Marks the token's bytes, and the white space that it swallows, as used.</summary>
    private TextFragment Take(ReadOnlySpan<byte> text, byte[] taken, Occurrence occurrence, int length)
    {
        int id = ids[occurrence.Rank];
        int start = occurrence.End - length;
        int end = occurrence.End;
        if (vocabulary.Has(id, TokenAttributes.StripLeft))
        {
            while (start > 0 && taken[start - 1] == 0 && IsAsciiWhitespace(text[start - 1]))
            {
                start--;
            }
        }

        if (vocabulary.Has(id, TokenAttributes.StripRight))
        {
            while (end < text.Length && taken[end] == 0 && IsAsciiWhitespace(text[end]))
            {
                end++;
            }
        }

        taken.AsSpan(start..end).Fill(1);
        return new TextFragment(start, end, id);
    }

    private static bool IsAsciiWhitespace(byte unit) => unit is (byte)' ' or (>= 0x09 and <= 0x0D);

    private readonly record struct Occurrence(int Rank, int End, int Node)
    {
        public ulong Priority => ((ulong)Rank << 32) | (uint)End;
    }
}
