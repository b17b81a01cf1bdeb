namespace Lamina.Compute.Grammar.Regular;

/// <summary>A nondeterministic automaton over code points: of a pattern without rules, or built edge by edge. Its first node is the start.</summary>
internal sealed class TextNfa(TextBudget budget)
{
    /// <summary>Beside that of following it.</summary>
    private const int NodeCost = 20;

    private readonly List<List<int>> _free = [];
    private readonly List<List<(CodePointSet Set, int Next)>> _edges = [];
    private readonly HashSet<int> _accepting = [];

    public int Count => _free.Count;

    /// <summary>Nodes reached without a character.</summary>
    public IReadOnlyList<int> Free(int node) => _free[node];

    public IReadOnlyList<(CodePointSet Set, int Next)> Edges(int node) => _edges[node];

    public bool IsAccepting(int node) => _accepting.Contains(node);

    public static TextNfa Of(Pattern pattern, TextBudget budget)
    {
        var nfa = new TextNfa(budget);
        int start = nfa.Node();
        nfa._accepting.Add(nfa.Add(pattern, start));
        return nfa;
    }

    /// <summary>Texts of <paramref name="min"/> to <paramref name="max"/> characters.</summary>
    public static TextNfa OfLength(int min, int? max, TextBudget budget)
    {
        var nfa = new TextNfa(budget);
        int last = max ?? min;
        for (int length = 0; length <= last; length++)
        {
            int node = nfa.Node(length >= min);
            if (length > 0)
            {
                nfa.Edge(node - 1, CodePointSet.All, node);
            }
        }

        if (max is null)
        {
            nfa.Edge(last, CodePointSet.All, last);
        }

        return nfa;
    }

    public int Node(bool accepting = false)
    {
        budget.Spend(NodeCost);
        _free.Add([]);
        _edges.Add([]);
        if (accepting)
        {
            _accepting.Add(Count - 1);
        }

        return Count - 1;
    }

    public void Edge(int from, CodePointSet set, int to) => _edges[from].Add((set, to));

    /// <summary>Whether a text belongs to it.</summary>
    public bool Accepts(string text)
    {
        budget.Spend(2 * NodeCost);
        SortedSet<int> nodes = Closure([0]);
        foreach (System.Text.Rune rune in text.EnumerateRunes())
        {
            budget.Spend(nodes.Count + 1);
            nodes = Closure([.. nodes.SelectMany(node => _edges[node]).Where(edge => edge.Set.Contains(rune.Value)).Select(edge => edge.Next)]);
        }

        return nodes.Any(IsAccepting);
    }

    private SortedSet<int> Closure(IReadOnlyCollection<int> nodes)
    {
        var closed = new SortedSet<int>(nodes);
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

        return closed;
    }

    /// <summary>Adds what the pattern matches from a node on; returns the node behind it.</summary>
    private int Add(Pattern pattern, int from)
    {
        switch (pattern)
        {
            case BytesPattern bytes:
                foreach (System.Text.Rune rune in System.Text.Encoding.UTF8.GetString(bytes.Bytes).EnumerateRunes())
                {
                    from = Step(from, CodePointSet.Of((rune.Value, rune.Value)));
                }

                return from;
            case SetPattern set:
                return Step(from, set.Members);
            case SequencePattern sequence:
                return sequence.Parts.Aggregate(from, (node, part) => Add(part, node));
            case ChoicePattern choice:
                int end = Node();
                foreach (Pattern option in choice.Options)
                {
                    int start = Node();
                    _free[from].Add(start);
                    _free[Add(option, start)].Add(end);
                }

                return end;
            case RepeatPattern repeat:
                return Repeat(repeat, from);
            default:
                throw new InvalidOperationException("a text's automaton has no rules");
        }
    }

    private int Step(int from, CodePointSet set)
    {
        int to = Node();
        Edge(from, set, to);
        return to;
    }

    private int Repeat(RepeatPattern repeat, int from)
    {
        if (repeat.Min > GrammarLimits.Repetition || repeat.Max > GrammarLimits.Repetition || repeat.Max < repeat.Min)
        {
            throw new GrammarException($"a repetition from {repeat.Min} to {repeat.Max} is not possible; at most {GrammarLimits.Repetition} are");
        }

        for (int i = 0; i < repeat.Min; i++)
        {
            from = Add(repeat.Body, from);
        }

        int end = Node();
        if (repeat.Max is null)
        {
            int loop = Node();
            _free[from].Add(loop);
            _free[Add(repeat.Body, loop)].Add(loop);
            _free[loop].Add(end);
            return end;
        }

        for (int i = repeat.Min; i < repeat.Max; i++)
        {
            _free[from].Add(end);
            from = Add(repeat.Body, from);
        }

        _free[from].Add(end);
        return end;
    }
}
