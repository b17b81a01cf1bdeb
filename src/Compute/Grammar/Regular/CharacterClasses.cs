namespace Lamina.Compute.Grammar.Regular;

/// <summary>The coarsest parts of all characters that lie wholly in or out of every set that some automata use. A set of them is a mask.</summary>
internal sealed class CharacterClasses
{
    private const int MaxClasses = 128;

    private readonly List<List<(int First, int Last)>> _classes = [];
    private readonly Dictionary<CodePointSet, UInt128> _masks = new(ReferenceEqualityComparer.Instance);

    public int Count => _classes.Count;

    public static CharacterClasses Of(IReadOnlyList<TextNfa> parts, TextBudget budget)
    {
        var classes = new CharacterClasses();
        CodePointSet[] sets = [.. parts.SelectMany(part => Enumerable.Range(0, part.Count).SelectMany(part.Edges)).Select(edge => edge.Set).Distinct<CodePointSet>(ReferenceEqualityComparer.Instance)];
        int[] cuts = [.. sets.SelectMany(set => set.Ranges).SelectMany(range => new[] { range.First, range.Last + 1 }).Distinct().Where(cut => cut <= CodePointSet.Last).Order()];

        // Split by one set after the other: pieces between cuts that no set tells apart stay in one class.
        int[] classOf = new int[cuts.Length];
        int count = 1;
        foreach (CodePointSet set in sets)
        {
            budget.Spend(cuts.Length + 1);
            var refined = new Dictionary<(int, bool), int>();
            int range = 0;
            for (int i = 0; i < cuts.Length; i++)
            {
                while (range < set.Ranges.Count && set.Ranges[range].Last < cuts[i])
                {
                    range++;
                }

                (int, bool) key = (classOf[i], range < set.Ranges.Count && set.Ranges[range].First <= cuts[i]);
                if (!refined.TryGetValue(key, out int number))
                {
                    refined[key] = number = refined.Count;
                }

                classOf[i] = number;
            }

            count = refined.Count;
        }

        if (count > MaxClasses)
        {
            throw new GrammarException("the constraints on a text tell too many characters apart");
        }

        classes._classes.AddRange(Enumerable.Range(0, count).Select(_ => new List<(int, int)>()));
        for (int i = 0; i < cuts.Length; i++)
        {
            classes._classes[classOf[i]].Add((cuts[i], i + 1 < cuts.Length ? cuts[i + 1] - 1 : CodePointSet.Last));
        }

        foreach (CodePointSet set in sets)
        {
            UInt128 mask = 0;
            for (int c = 0; c < count; c++)
            {
                mask |= classes._classes[c].Count > 0 && set.Contains(classes._classes[c][0].First) ? UInt128.One << c : 0;
            }

            classes._masks[set] = mask;
        }

        return classes;
    }

    public UInt128 Mask(CodePointSet set) => _masks[set];

    public CodePointSet Set(UInt128 mask) => CodePointSet.Of(Enumerable.Range(0, Count).Where(c => (mask >> c & 1) != 0).SelectMany(c => _classes[c]));
}
