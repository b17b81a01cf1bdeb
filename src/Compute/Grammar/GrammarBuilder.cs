using Lamina.Compute.ToolCalls;

namespace Lamina.Compute.Grammar;

/// <summary>Collects rules and writes them out as flat code for the automaton.</summary>
internal sealed class GrammarBuilder
{
    private readonly List<Pattern?> _patterns = [];
    private readonly List<string> _names = [];
    private readonly List<List<List<int>>> _rules = [];
    private readonly Dictionary<ByteSet, int> _setIndexes = [];
    private readonly List<ByteSet> _sets = [];
    private readonly Dictionary<CodePointSet, int> _setRules = [];
    private int _elements;

    /// <summary>A rule to be defined later.</summary>
    public int Declare(string name)
    {
        _patterns.Add(null);
        _names.Add(name);
        return _patterns.Count - 1;
    }

    public bool IsDefined(int rule) => _patterns[rule] is not null;

    public void Define(int rule, Pattern pattern) => _patterns[rule] = pattern;

    public int Add(string name, Pattern pattern)
    {
        int rule = Declare(name);
        Define(rule, pattern);
        return rule;
    }

    /// <param name="marks">The format whose control tokens count by their texts; null = none do.</param>
    public CompiledGrammar Build(int root, ToolFormat? marks = null)
    {
        int named = _patterns.Count;
        for (int rule = 0; rule < named; rule++)
        {
            if (_patterns[rule] is null)
            {
                throw new GrammarException($"the rule '{_names[rule]}' is used but not defined");
            }

            _rules.Add([]);
        }

        for (int rule = 0; rule < named; rule++)
        {
            WriteAlternatives(rule, _patterns[rule]!, 0);
        }

        Productivity.Prune(_rules, root);
        GrammarCode code = GrammarCode.Link(_rules, [.. _sets], root);
        LeftRecursion.Check(code, rule => rule < named ? _names[rule] : "a repetition");
        return new CompiledGrammar(code, marks);
    }

    private void WriteAlternatives(int rule, Pattern pattern, int depth)
    {
        IReadOnlyList<Pattern> options = pattern is ChoicePattern choice ? choice.Options : [pattern];
        foreach (Pattern option in options)
        {
            List<int> elements = [];
            Write(elements, option, depth + 1);
            Count(1);
            _rules[rule].Add(elements);
        }
    }

    private void Write(List<int> elements, Pattern pattern, int depth)
    {
        if (depth > 4 * GrammarLimits.Depth)
        {
            throw new GrammarException("the grammar nests too deep");
        }

        switch (pattern)
        {
            case BytesPattern bytes:
                foreach (byte value in bytes.Bytes)
                {
                    elements.Add(Terminal(ByteSet.Of(value, value)));
                }

                Count(bytes.Bytes.Length);
                break;
            case SetPattern set:
                elements.Add(SetElement(set.Members));
                Count(1);
                break;
            case SequencePattern sequence:
                foreach (Pattern part in sequence.Parts)
                {
                    Write(elements, part, depth + 1);
                }

                break;
            case ChoicePattern:
                elements.Add(Call(NewRule(pattern, depth)));
                Count(1);
                break;
            case RepeatPattern repeat:
                WriteRepeat(elements, repeat, depth);
                break;
            case RulePattern rule:
                elements.Add(Call(rule.Index));
                Count(1);
                break;
        }
    }

    private void WriteRepeat(List<int> elements, RepeatPattern repeat, int depth)
    {
        if (repeat.Min > GrammarLimits.Repetition || repeat.Max > GrammarLimits.Repetition || repeat.Max < repeat.Min)
        {
            throw new GrammarException($"a repetition from {repeat.Min} to {repeat.Max} is not possible; at most {GrammarLimits.Repetition} are");
        }

        int body = Call(NewRule(repeat.Body, depth));
        Count(repeat.Min);
        elements.AddRange(Enumerable.Repeat(body, repeat.Min));
        if (repeat.Max is null)
        {
            // the rule calls itself at its end, which costs no stack
            int many = NewRule();
            _rules[many].Add([body, Call(many)]);
            _rules[many].Add([]);
            elements.Add(Call(many));
            Count(4);
            return;
        }

        int rest = -1;
        for (int i = repeat.Min; i < repeat.Max; i++)
        {
            int next = NewRule();
            _rules[next].Add(rest < 0 ? [body] : [body, Call(rest)]);
            _rules[next].Add([]);
            rest = next;
            Count(4);
        }

        if (rest >= 0)
        {
            elements.Add(Call(rest));
        }
    }

    private int NewRule(Pattern pattern, int depth)
    {
        if (pattern is RulePattern existing)
        {
            return existing.Index;
        }

        int rule = NewRule();
        WriteAlternatives(rule, pattern, depth + 1);
        return rule;
    }

    private int NewRule()
    {
        _rules.Add([]);
        return _rules.Count - 1;
    }

    /// <summary>One byte where the set is ASCII alone, else a rule over the UTF-8 forms.</summary>
    private int SetElement(CodePointSet set)
    {
        if (set.Ranges.Count == 0)
        {
            throw new GrammarException("a character class matches nothing");
        }

        if (set.Ranges[^1].Last < 0x80)
        {
            ByteSet bytes = default;
            foreach ((int first, int last) in set.Ranges)
            {
                bytes = bytes.Union(ByteSet.Of((byte)first, (byte)last));
            }

            return Terminal(bytes);
        }

        if (!_setRules.TryGetValue(set, out int rule))
        {
            rule = NewRule();
            _setRules[set] = rule;
            foreach ((byte First, byte Last)[] sequence in set.Ranges.SelectMany(range => Utf8Ranges.Of(range.First, range.Last)))
            {
                _rules[rule].Add([.. sequence.Select(range => Terminal(ByteSet.Of(range.First, range.Last)))]);
                Count(sequence.Length + 1);
            }
        }

        return Call(rule);
    }

    private int Terminal(ByteSet set)
    {
        if (!_setIndexes.TryGetValue(set, out int index))
        {
            index = _sets.Count;
            _sets.Add(set);
            _setIndexes[set] = index;
        }

        return index;
    }

    private static int Call(int rule) => ~rule;

    private void Count(int added)
    {
        if ((_elements += added) > GrammarLimits.Elements)
        {
            throw new GrammarException($"the grammar is too large: written out it has more than {GrammarLimits.Elements} elements");
        }
    }
}
