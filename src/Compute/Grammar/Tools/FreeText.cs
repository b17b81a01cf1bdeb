namespace Lamina.Compute.Grammar.Tools;

/// <summary>
/// Any text in which each of some marks is followed by what it announces: one rule for each beginning of a mark (Aho and Corasick 1975), which calls itself at its end, so
/// that the length of the text costs no stack.
/// </summary>
internal sealed class FreeText
{
    private readonly GrammarBuilder _builder;
    private readonly (string Mark, Pattern Then)[] _marks;
    private readonly Dictionary<string, int> _states = new(StringComparer.Ordinal);
    private readonly bool _mayEnd;

    /// <param name="mayEnd">Whether the text may end before a mark.</param>
    public FreeText(GrammarBuilder builder, bool mayEnd)
    {
        (_builder, _marks, _mayEnd) = (builder, [], mayEnd);
        _states[""] = builder.Declare("text");
    }

    private FreeText(FreeText declared, (string Mark, Pattern Then)[] marks) => (_builder, _states, _mayEnd, _marks) = (declared._builder, declared._states, declared._mayEnd, marks);

    /// <summary>The text from its beginning; what a mark announces may end in it.</summary>
    public Pattern Start => Pattern.Rule(_states[""]);

    /// <summary>Says what follows each mark; called once.</summary>
    public FreeText Define(params (string Mark, Pattern Then)[] marks)
    {
        var defined = new FreeText(this, marks);
        string[] prefixes = [.. marks.SelectMany(mark => Enumerable.Range(1, mark.Mark.Length - 1).Select(length => mark.Mark[..length])).Distinct()];
        foreach (string prefix in prefixes)
        {
            _states[prefix] = _builder.Declare("text");
        }

        foreach (string prefix in prefixes.Append(""))
        {
            _builder.Define(_states[prefix], defined.From(prefix, CodePointSet.Of()));
        }

        return defined;
    }

    /// <summary>What may follow a beginning of a mark, except for some characters.</summary>
    public Pattern From(string prefix, CodePointSet except)
    {
        List<Pattern> options = _mayEnd ? [Pattern.Empty] : [];
        CodePointSet others = except;
        foreach (char next in _marks.SelectMany(mark => mark.Mark).Distinct())
        {
            if (except.Contains(next) || LongestBeginning(prefix + next) is not { Length: > 0 } reached)
            {
                continue;
            }

            others = CodePointSet.Of([.. others.Ranges, (next, next)]);
            Pattern rest = _marks.FirstOrDefault(mark => mark.Mark == reached).Then ?? Pattern.Rule(_states[reached]);
            options.Add(Pattern.Sequence(Pattern.Text(next.ToString()), rest));
        }

        options.Add(Pattern.Sequence(Pattern.Set(others.Complement()), Start));
        return Pattern.Choice([.. options]);
    }

    /// <summary>The longest end of a text that is a mark or begins one.</summary>
    private string LongestBeginning(string text)
    {
        for (int start = 0; start < text.Length; start++)
        {
            string end = text[start..];
            if (_marks.Any(mark => mark.Mark.StartsWith(end, StringComparison.Ordinal)))
            {
                return end;
            }
        }

        return "";
    }
}
