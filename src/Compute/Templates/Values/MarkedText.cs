namespace Lamina.Compute.Templates.Values;

/// <summary>
/// A string that knows which of its characters come from the template's own text. Operations keep the marks of what they keep; what
/// they cannot trace is untrusted.
/// </summary>
internal sealed class MarkedText
{
    public static readonly MarkedText Empty = new("", []);

    private readonly (int Start, int End)[] _trusted;

    private MarkedText(string value, (int, int)[] trusted)
    {
        Value = value;
        _trusted = trusted;
    }

    public string Value { get; }

    public int Length => Value.Length;

    /// <summary>Trusted ranges, rising and apart from each other.</summary>
    public ReadOnlySpan<(int Start, int End)> Trusted => _trusted;

    public bool IsTrusted => Length == 0 || (_trusted.Length == 1 && _trusted[0] == (0, Length));

    public static MarkedText FromTemplate(string value) => value.Length == 0 ? Empty : new(value, [(0, value.Length)]);

    public static MarkedText FromInput(string value) => value.Length == 0 ? Empty : new(value, []);

    /// <summary>A text derived as a whole: trusted only if the original is so throughout.</summary>
    public MarkedText Derive(string value) => IsTrusted ? FromTemplate(value) : FromInput(value);

    public MarkedText Slice(int start, int length)
    {
        if (length <= 0)
        {
            return Empty;
        }

        if (length == Length)
        {
            return this;
        }

        int end = start + length;
        List<(int, int)> kept = [];
        foreach ((int from, int to) in _trusted)
        {
            if (from < end && to > start)
            {
                kept.Add((Math.Max(from, start) - start, Math.Min(to, end) - start));
            }
        }

        return new MarkedText(Value.Substring(start, length), [.. kept]);
    }

    public MarkedText Trim(Func<char, bool> removed, bool left, bool right)
    {
        int start = 0, end = Length;
        while (left && start < end && removed(Value[start]))
        {
            start++;
        }

        while (right && end > start && removed(Value[end - 1]))
        {
            end--;
        }

        return Slice(start, end - start);
    }

    /// <summary>The parts one behind the other, copied once.</summary>
    public static MarkedText Concat(params ReadOnlySpan<MarkedText> parts)
    {
        var values = new string[parts.Length];
        List<(int, int)> trusted = [];
        int start = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            values[i] = parts[i].Value;
            foreach ((int from, int to) in parts[i]._trusted)
            {
                Mark(trusted, start + from, start + to);
            }

            start += parts[i].Length;
        }

        return new MarkedText(string.Concat(values), [.. trusted]);
    }

    /// <summary>Adds a range behind all others; where it touches the last, the two become one.</summary>
    public static void Mark(List<(int Start, int End)> trusted, int start, int end)
    {
        if (trusted.Count > 0 && trusted[^1].End == start)
        {
            trusted[^1] = (trusted[^1].Start, end);
        }
        else
        {
            trusted.Add((start, end));
        }
    }

    public static MarkedText Build(string value, List<(int, int)> trusted) => new(value, [.. trusted]);

    public override string ToString() => Value;
}
