using System.Runtime.InteropServices;

namespace Lamina.Compute.Grammar.Regular;

/// <summary>Makes automata deterministic side by side: a state is the set of nodes that they may stand in after the same text.</summary>
internal sealed class SubsetConstruction
{
    private const int MaxStates = 4_096;
    private const int StateCost = 10;

    private readonly CharacterClasses _classes;
    private readonly TextBudget _budget;
    private readonly int[][] _free;
    private readonly (UInt128 Classes, int Next)[][] _edges;
    private readonly ulong[] _accepting;
    private readonly int[] _starts;
    private readonly Dictionary<int[], int> _known = new(Comparer.Instance);
    private readonly List<int[]> _states = [];

    /// <summary>[nodes]: the last closure that holds a node.</summary>
    private readonly int[] _seen;
    private readonly Stack<int> _open = [];
    private int _closure;

    public SubsetConstruction(IReadOnlyList<TextNfa> parts, CharacterClasses classes, TextBudget budget)
    {
        _classes = classes;
        _budget = budget;
        int count = parts.Sum(part => part.Count), offset = 0;
        (_free, _edges, _accepting, _seen) = (new int[count][], new (UInt128, int)[count][], new ulong[count], new int[count]);
        _starts = new int[parts.Count];
        for (int p = 0; p < parts.Count; offset += parts[p].Count, p++)
        {
            _starts[p] = offset;
            for (int node = 0, first = offset; node < parts[p].Count; node++)
            {
                _free[first + node] = [.. parts[p].Free(node).Select(next => next + first)];
                _edges[first + node] = [.. parts[p].Edges(node).Select(edge => (classes.Mask(edge.Set), edge.Next + first))];
                _accepting[first + node] = parts[p].IsAccepting(node) ? 1UL << p : 0;
            }
        }
    }

    public List<TextProduct.State> Run()
    {
        var states = new List<TextProduct.State>();
        StateOf(_starts);
        var next = new List<int>();
        var byTarget = new Dictionary<int, UInt128>();
        for (int s = 0; s < _states.Count; s++)
        {
            ulong accepting = 0;
            UInt128 used = 0;
            foreach (int node in _states[s])
            {
                accepting |= _accepting[node];
                foreach ((UInt128 classes, _) in _edges[node])
                {
                    used |= classes;
                }
            }

            byTarget.Clear();
            for (int c = 0; c < _classes.Count; c++)
            {
                UInt128 bit = UInt128.One << c;
                if ((used & bit) != 0)
                {
                    Targets(_states[s], bit, next);
                    CollectionsMarshal.GetValueRefOrAddDefault(byTarget, StateOf(CollectionsMarshal.AsSpan(next)), out _) |= bit;
                }
            }

            states.Add(new TextProduct.State(accepting, [.. byTarget.Select(pair => (pair.Value, pair.Key))]));
        }

        return states;
    }

    private void Targets(int[] nodes, UInt128 character, List<int> next)
    {
        next.Clear();
        _budget.Spend(nodes.Length + StateCost);
        foreach (int node in nodes)
        {
            foreach ((UInt128 classes, int target) in _edges[node])
            {
                if ((classes & character) != 0)
                {
                    next.Add(target);
                }
            }
        }
    }

    private int StateOf(ReadOnlySpan<int> nodes)
    {
        _closure++;
        var closed = new List<int>();
        foreach (int node in nodes)
        {
            Visit(node, closed);
        }

        while (_open.TryPop(out int node))
        {
            foreach (int free in _free[node])
            {
                Visit(free, closed);
            }
        }

        _budget.Spend(closed.Count);
        int[] state = [.. closed];
        Array.Sort(state);
        if (!_known.TryGetValue(state, out int number))
        {
            number = _known[state] = _states.Count;
            _states.Add(state);
            if (_states.Count > MaxStates)
            {
                throw new GrammarException("the constraints on a text are too large together");
            }
        }

        return number;
    }

    private void Visit(int node, List<int> closed)
    {
        if (_seen[node] == _closure)
        {
            return;
        }

        _seen[node] = _closure;
        _open.Push(node);
        _budget.Spend(1);
        if (_edges[node].Length > 0 || _accepting[node] != 0)
        {
            closed.Add(node);
        }
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
