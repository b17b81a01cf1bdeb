using System.Runtime.InteropServices;

namespace Lamina.Compute.Grammar.Regular;

/// <summary>
/// Several automata side by side, made deterministic: after any text a state says which of them accept it. So texts that all of them accept, or one but not another,
/// become plain rules: one for each state.
/// </summary>
internal sealed class TextProduct
{
    private const int MaxStates = 4_096;
    private const long MaxWork = 3_000_000;

    private readonly List<State> _states = [];

    /// <summary>A state's accepting automata, as bits, and where each set of characters leads.</summary>
    private sealed record State(ulong Accepting, List<(CodePointSet Set, int Next)> Edges);

    /// <param name="parts">At most 64.</param>
    public static TextProduct Of(IReadOnlyList<TextNfa> parts)
    {
        if (parts.Count > 64)
        {
            throw new GrammarException($"{parts.Count} constraints on one text are too many; 64 are possible");
        }

        return new Construction(parts).Run();
    }

    /// <summary>
    /// Rules that spell the texts character by character. <paramref name="write"/> gives a character set as it is written, null for one that cannot be;
    /// <paramref name="end"/> what follows a text that is accepted by exactly these automata, null where such a text is not wanted.
    /// </summary>
    public Pattern ToRules(GrammarBuilder builder, Func<CodePointSet, Pattern?> write, Func<ulong, Pattern?> end)
    {
        int[] rules = [.. _states.Select(_ => builder.Declare("text"))];
        bool[] live = Live(end);
        if (!live[0])
        {
            throw new GrammarException("the constraints on a text leave none");
        }

        for (int i = 0; i < rules.Length; i++)
        {
            List<Pattern> options = [];
            if (live[i])
            {
                foreach ((CodePointSet set, int next) in _states[i].Edges)
                {
                    if (live[next] && write(set) is { } written)
                    {
                        options.Add(Pattern.Sequence(written, Pattern.Rule(rules[next])));
                    }
                }

                if (end(_states[i].Accepting) is { } last)
                {
                    options.Add(last);
                }
            }

            // A rule that nothing can finish is pruned with whatever calls it.
            builder.Define(rules[i], options.Count > 0 ? Pattern.Choice([.. options]) : Pattern.Rule(rules[i]));
        }

        return Pattern.Rule(rules[0]);
    }

    /// <summary>States from which a wanted text can be reached.</summary>
    private bool[] Live(Func<ulong, Pattern?> end)
    {
        bool[] live = [.. _states.Select(state => end(state.Accepting) is not null)];
        for (bool changed = true; changed;)
        {
            changed = false;
            for (int i = live.Length - 1; i >= 0; i--)
            {
                if (!live[i] && _states[i].Edges.Exists(edge => live[edge.Next]))
                {
                    live[i] = changed = true;
                }
            }
        }

        return live;
    }

    private sealed class Construction
    {
        private readonly List<List<int>> _free = [];

        /// <summary>[node][edge]: the classes of characters that the edge takes, and its end.</summary>
        private readonly List<(int[] Classes, int Next)[]> _edges = [];
        private readonly List<ulong> _accepting = [];
        private readonly CodePointSet[] _classes;
        private readonly Dictionary<int[], int> _known = new(Comparer.Instance);
        private readonly List<int[]> _open = [];
        private readonly int[] _starts;
        private long _work;

        public Construction(IReadOnlyList<TextNfa> parts)
        {
            _classes = Classify([.. parts.SelectMany(part => Enumerable.Range(0, part.Count).SelectMany(part.Edges)).Select(edge => edge.Set).Distinct()]);
            var classesOf = new Dictionary<CodePointSet, int[]>(ReferenceEqualityComparer.Instance);
            _starts = new int[parts.Count];
            for (int p = 0; p < parts.Count; p++)
            {
                int offset = _starts[p] = _free.Count;
                for (int node = 0; node < parts[p].Count; node++)
                {
                    _free.Add([.. parts[p].Free(node).Select(next => next + offset)]);
                    _edges.Add([.. parts[p].Edges(node).Select(edge => (ClassesOf(edge.Set, classesOf), edge.Next + offset))]);
                    _accepting.Add(parts[p].IsAccepting(node) ? 1UL << p : 0);
                }
            }
        }

        public TextProduct Run()
        {
            var product = new TextProduct();
            StateOf([.. _starts]);
            var targets = new List<int>[_classes.Length];
            for (int s = 0; s < _open.Count; s++)
            {
                Array.Clear(targets);
                ulong accepting = 0;
                foreach (int node in _open[s])
                {
                    accepting |= _accepting[node];
                    foreach ((int[] classes, int next) in _edges[node])
                    {
                        Count(classes.Length);
                        foreach (int c in classes)
                        {
                            (targets[c] ??= []).Add(next);
                        }
                    }
                }

                List<(CodePointSet, int)> edges = [.. Enumerable.Range(0, _classes.Length).Where(c => targets[c] is not null)
                    .Select(c => (Class: c, Next: StateOf(targets[c])))
                    .GroupBy(edge => edge.Next)
                    .Select(group => (CodePointSet.Of(group.SelectMany(edge => _classes[edge.Class].Ranges)), group.Key))];
                product._states.Add(new State(accepting, edges));
            }

            return product;
        }

        private int StateOf(List<int> nodes)
        {
            var closed = new HashSet<int>(nodes);
            var open = new Stack<int>(nodes);
            while (open.TryPop(out int node))
            {
                foreach (int next in _free[node])
                {
                    if (closed.Add(next))
                    {
                        open.Push(next);
                    }
                }
            }

            Count(closed.Count);
            int[] state = [.. closed.Where(node => _edges[node].Length > 0 || _accepting[node] != 0).Order()];
            if (!_known.TryGetValue(state, out int number))
            {
                number = _known[state] = _open.Count;
                _open.Add(state);
                if (_open.Count > MaxStates)
                {
                    throw TooLarge();
                }
            }

            return number;
        }

        private void Count(int work)
        {
            _work += work + 1;
            if (_work > MaxWork)
            {
                throw TooLarge();
            }
        }

        private static GrammarException TooLarge() => new("the constraints on a text are too large together");

        private int[] ClassesOf(CodePointSet set, Dictionary<CodePointSet, int[]> known)
        {
            if (!known.TryGetValue(set, out int[]? classes))
            {
                known[set] = classes = [.. Enumerable.Range(0, _classes.Length).Where(c => set.Contains(_classes[c].Ranges[0].First))];
            }

            return classes;
        }

        /// <summary>The coarsest parts of all characters that lie wholly in or out of every set.</summary>
        private static CodePointSet[] Classify(CodePointSet[] sets)
        {
            int[] cuts = [.. sets.SelectMany(set => set.Ranges).SelectMany(range => new[] { range.First, range.Last + 1 }).Distinct().Where(cut => cut <= CodePointSet.Last).Order()];
            if (cuts.Length > 20_000 || (long)cuts.Length * sets.Length > MaxWork)
            {
                throw TooLarge();
            }

            var byMembership = new Dictionary<string, List<(int, int)>>();
            for (int i = 0; i < cuts.Length; i++)
            {
                int first = cuts[i], last = i + 1 < cuts.Length ? cuts[i + 1] - 1 : CodePointSet.Last;
                string membership = string.Create(sets.Length, (sets, first), static (bits, state) =>
                {
                    for (int s = 0; s < bits.Length; s++)
                    {
                        bits[s] = state.sets[s].Contains(state.first) ? '1' : '0';
                    }
                });
                if (membership.Contains('1', StringComparison.Ordinal))
                {
                    (CollectionsMarshal.GetValueRefOrAddDefault(byMembership, membership, out _) ??= []).Add((first, last));
                }
            }

            return [.. byMembership.Values.Select(ranges => CodePointSet.Of(ranges)).Where(set => set.Ranges.Count > 0)];
        }

        private sealed class Comparer : IEqualityComparer<int[]>
        {
            public static readonly Comparer Instance = new();

            public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

            public int GetHashCode(int[] set)
            {
                HashCode hash = default;
                hash.AddBytes(MemoryMarshal.AsBytes(set.AsSpan()));
                return hash.ToHashCode();
            }
        }
    }
}
