namespace Lamina.Compute.Grammar;

/// <summary>Finds rules that can never be finished, such as one that always needs itself, and takes out the alternatives that lead into them.</summary>
internal static class Productivity
{
    public static void Prune(IReadOnlyList<List<List<int>>> rules, int root)
    {
        // an alternative is done when none of its calls is left to wait for
        Dictionary<int, List<(int Rule, int[] Left)>> waiting = [];
        bool[] productive = new bool[rules.Count];
        Queue<int> done = [];
        for (int rule = 0; rule < rules.Count; rule++)
        {
            foreach (List<int> alternative in rules[rule])
            {
                HashSet<int> called = [.. alternative.Where(element => element < 0).Select(element => ~element)];
                int[] left = [called.Count];
                foreach (int other in called)
                {
                    if (!waiting.TryGetValue(other, out List<(int, int[])>? list))
                    {
                        waiting[other] = list = [];
                    }

                    list.Add((rule, left));
                }

                if (called.Count == 0)
                {
                    done.Enqueue(rule);
                }
            }
        }

        while (done.TryDequeue(out int rule))
        {
            if (productive[rule])
            {
                continue;
            }

            productive[rule] = true;
            foreach ((int user, int[] left) in waiting.GetValueOrDefault(rule) ?? [])
            {
                if (--left[0] == 0)
                {
                    done.Enqueue(user);
                }
            }
        }

        if (!productive[root])
        {
            throw new GrammarException("the grammar matches no text: its rules call each other without end");
        }

        foreach (List<List<int>> alternatives in rules)
        {
            alternatives.RemoveAll(alternative => alternative.Any(element => element < 0 && !productive[~element]));
        }
    }
}
