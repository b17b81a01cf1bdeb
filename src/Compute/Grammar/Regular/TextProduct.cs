namespace Lamina.Compute.Grammar.Regular;

/// <summary>
/// Several automata side by side, made deterministic: after any text a state says which of them accept it. So texts that all of them accept, or one but not another,
/// become plain rules: one for each state.
/// </summary>
internal sealed class TextProduct
{
    public const int MaxParts = 64;

    private readonly IReadOnlyList<State> _states;
    private readonly CharacterClasses _classes;

    private TextProduct(IReadOnlyList<State> states, CharacterClasses classes)
    {
        _states = states;
        _classes = classes;
    }

    /// <summary>A state's accepting automata, as bits, and where each set of character classes leads.</summary>
    public sealed record State(ulong Accepting, (UInt128 Classes, int Next)[] Edges);

    /// <param name="parts">At most 64.</param>
    public static TextProduct Of(IReadOnlyList<TextNfa> parts, TextBudget budget)
    {
        if (parts.Count > MaxParts)
        {
            throw new GrammarException($"{parts.Count} constraints on one text are too many; {MaxParts} are possible");
        }

        CharacterClasses classes = CharacterClasses.Of(parts, budget);
        return new TextProduct(new SubsetConstruction(parts, classes, budget).Run(), classes);
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

        var written = new Dictionary<UInt128, Pattern?>();
        for (int i = 0; i < rules.Length; i++)
        {
            List<Pattern> options = [];
            if (live[i])
            {
                foreach ((UInt128 classes, int next) in _states[i].Edges)
                {
                    if (!live[next])
                    {
                        continue;
                    }

                    if (!written.TryGetValue(classes, out Pattern? set))
                    {
                        written[classes] = set = write(_classes.Set(classes));
                    }

                    if (set is not null)
                    {
                        options.Add(Pattern.Sequence(set, Pattern.Rule(rules[next])));
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
        ILookup<int, int> before = _states.SelectMany((state, i) => state.Edges.Select(edge => (edge.Next, i))).ToLookup(edge => edge.Next, edge => edge.i);
        var open = new Stack<int>(Enumerable.Range(0, live.Length).Where(i => live[i]));
        while (open.TryPop(out int state))
        {
            foreach (int previous in before[state].Where(previous => !live[previous]))
            {
                live[previous] = true;
                open.Push(previous);
            }
        }

        return live;
    }
}
