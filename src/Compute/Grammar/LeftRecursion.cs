namespace Lamina.Compute.Grammar;

/// <summary>
/// Refuses rules that call themselves before matching a byte, with something left to match behind the call: they would be entered without end. A call at the
/// end of an alternative leaves nothing behind and does no harm.
/// </summary>
internal static class LeftRecursion
{
    public static void Check(GrammarCode code, Func<int, string> name)
    {
        bool[] nullable = Nullable(code);
        int count = code.Alternatives.Length;
        List<(int To, bool LeavesRest)>[] calls = new List<(int, bool)>[count];
        for (int rule = 0; rule < count; rule++)
        {
            calls[rule] = [];
            foreach (int start in code.Alternatives[rule])
            {
                for (int at = start; code.Elements[at] < 0; at++)
                {
                    calls[rule].Add((~code.Elements[at], code.Elements[at + 1] != GrammarCode.End));
                    if (!nullable[~code.Elements[at]])
                    {
                        break;
                    }
                }
            }
        }

        int[] component = Components(calls);
        for (int rule = 0; rule < count; rule++)
        {
            if (calls[rule].Any(call => call.LeavesRest && component[call.To] == component[rule]))
            {
                throw new GrammarException($"the rule '{name(rule)}' is left-recursive: it begins with itself");
            }
        }
    }

    private static bool[] Nullable(GrammarCode code)
    {
        int count = code.Alternatives.Length;
        bool[] nullable = new bool[count];
        List<int>[] users = new List<int>[count];
        Queue<int> open = new(Enumerable.Range(0, count));
        int[] emptyElements = new int[code.Elements.Length];
        for (int rule = 0; rule < count; rule++)
        {
            foreach (int start in code.Alternatives[rule])
            {
                for (int at = start; code.Elements[at] != GrammarCode.End; at++)
                {
                    if (code.Elements[at] < 0 && (users[~code.Elements[at]] is not { } known || known[^1] != rule))
                    {
                        (users[~code.Elements[at]] ??= []).Add(rule);
                    }
                }
            }
        }

        while (open.TryDequeue(out int rule))
        {
            if (!nullable[rule] && code.Alternatives[rule].Any(IsEmpty))
            {
                nullable[rule] = true;
                users[rule]?.ForEach(open.Enqueue);
            }
        }

        return nullable;

        bool IsEmpty(int start)
        {
            // What was found empty stays so: the next look goes on where this one ends.
            ref int skipped = ref emptyElements[start];
            while (code.Elements[start + skipped] < 0 && nullable[~code.Elements[start + skipped]])
            {
                skipped++;
            }

            return code.Elements[start + skipped] == GrammarCode.End;
        }
    }

    /// <summary>Strongly connected components by Kosaraju's two passes, without recursion.</summary>
    private static int[] Components(List<(int To, bool)>[] calls)
    {
        int count = calls.Length;
        List<int>[] callers = new List<int>[count];
        for (int rule = 0; rule < count; rule++)
        {
            foreach ((int to, _) in calls[rule])
            {
                (callers[to] ??= []).Add(rule);
            }
        }

        List<int> finished = new(count);
        bool[] seen = new bool[count];
        Stack<(int Rule, int Next)> path = [];
        for (int start = 0; start < count; start++)
        {
            Visit(start);
            while (path.TryPop(out (int Rule, int Next) step))
            {
                if (step.Next == calls[step.Rule].Count)
                {
                    finished.Add(step.Rule);
                    continue;
                }

                path.Push((step.Rule, step.Next + 1));
                Visit(calls[step.Rule][step.Next].To);
            }
        }

        int[] component = new int[count];
        Array.Fill(component, -1);
        for (int i = count - 1; i >= 0; i--)
        {
            Stack<int> open = new([finished[i]]);
            while (open.TryPop(out int rule))
            {
                if (component[rule] < 0)
                {
                    component[rule] = i;
                    callers[rule]?.ForEach(open.Push);
                }
            }
        }

        return component;

        void Visit(int rule)
        {
            if (!seen[rule])
            {
                seen[rule] = true;
                path.Push((rule, 0));
            }
        }
    }
}
