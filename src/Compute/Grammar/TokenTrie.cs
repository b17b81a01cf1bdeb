using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Lamina.Compute.Tokenization;
using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Grammar;

/// <summary>
/// The vocabulary as a prefix tree, laid out in preorder: a walk goes forward through arrays and jumps over what a prefix excludes. Immutable; one per tokenizer and
/// format of tool calls.
/// </summary>
internal sealed class TokenTrie
{
    private static readonly ConditionalWeakTable<Tokenizer, ConcurrentDictionary<int, TokenTrie>> Tries = [];

    private readonly byte[] _bytes;
    private readonly ushort[] _depths;
    private readonly int[] _ends;
    private readonly int[] _firstToken;
    private readonly int[] _nextToken;

    private TokenTrie(Tokenizer tokenizer, ToolFormat? marks)
    {
        VocabularySize = tokenizer.VocabularySize;
        EndOfGeneration = [.. tokenizer.EndOfGeneration.Where(id => (uint)id < (uint)VocabularySize)];
        byte[][] texts = new byte[VocabularySize][];
        for (int id = 0; id < texts.Length; id++)
        {
            texts[id] = tokenizer.EndOfGeneration.Contains(id) ? []
                : !tokenizer.IsControl(id) ? tokenizer.Bytes(id).ToArray()
                : marks is { } format && ToolFormats.IsMark(format, Encoding.UTF8.GetString(tokenizer.Bytes(id, special: true))) ? tokenizer.Bytes(id, special: true).ToArray()
                : [];
        }

        int[] order = [.. Enumerable.Range(0, texts.Length).Where(id => texts[id].Length is > 0 and <= ushort.MaxValue)];
        Array.Sort(order, (a, b) => texts[a].AsSpan().SequenceCompareTo(texts[b]) is not 0 and int byText ? byText : a.CompareTo(b));
        List<byte> bytes = [];
        List<ushort> depths = [];
        List<int> ends = [], firstToken = [];
        List<int> path = [];
        _nextToken = new int[VocabularySize];
        ReadOnlySpan<byte> previous = default;
        foreach (int id in order)
        {
            ReadOnlySpan<byte> text = texts[id];
            int shared = text.CommonPrefixLength(previous);
            for (; path.Count > shared; path.RemoveAt(path.Count - 1))
            {
                ends[path[^1]] = bytes.Count;
            }

            for (int depth = shared; depth < text.Length; depth++)
            {
                path.Add(bytes.Count);
                bytes.Add(text[depth]);
                depths.Add((ushort)depth);
                ends.Add(0);
                firstToken.Add(-1);
            }

            _nextToken[id] = firstToken[path[^1]];
            firstToken[path[^1]] = id;
            previous = text;
        }

        path.ForEach(node => ends[node] = bytes.Count);
        (_bytes, _depths, _ends, _firstToken) = ([.. bytes], [.. depths], [.. ends], [.. firstToken]);
        MaxDepth = _depths.Length == 0 ? 0 : _depths.Max() + 1;
        Texts = texts;
    }

    public int VocabularySize { get; }

    public int[] EndOfGeneration { get; }

    /// <summary>Bytes of each token; empty for those that no grammar can match.</summary>
    public byte[][] Texts { get; }

    private int MaxDepth { get; }

    /// <param name="marks">The format whose control tokens count by their texts; null = none do.</param>
    public static TokenTrie Of(Tokenizer tokenizer, ToolFormat? marks = null) =>
        Tries.GetValue(tokenizer, static _ => new()).GetOrAdd(marks is { } format ? (int)format : -1, _ => new TokenTrie(tokenizer, marks));

    /// <summary>Sets the bit of each token whose bytes the automaton accepts from a state.</summary>
    public void Collect(GrammarAutomaton automaton, int state, ulong[] mask)
    {
        int[] states = new int[MaxDepth + 1];
        states[0] = state;
        long most = automaton.Work + GrammarLimits.WorkPerMask;
        ReadOnlySpan<byte> bytes = _bytes, classOfByte = automaton.ClassOfByte;
        ReadOnlySpan<ushort> depths = _depths;
        ReadOnlySpan<int> table = automaton.Table;
        int classes = automaton.Classes;
        for (int node = 0; node < bytes.Length;)
        {
            int depth = depths[node];
            int next = table[(states[depth] * classes) + classOfByte[bytes[node]]];
            if (next < 0)
            {
                next = automaton.Next(states[depth], bytes[node]);
                table = automaton.Table;
            }

            if (next == GrammarAutomaton.Dead)
            {
                node = _ends[node];
                continue;
            }

            states[depth + 1] = next;
            for (int id = _firstToken[node]; id >= 0; id = _nextToken[id])
            {
                mask[id >> 6] |= 1UL << (id & 63);
            }

            if (automaton.Work > most)
            {
                throw new GrammarException("the grammar is too ambiguous to be followed in reasonable time");
            }

            node++;
        }
    }
}
