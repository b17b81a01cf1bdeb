namespace Lamina.Coordinator.Generations;

/// <summary>
/// Finds stop strings in text that comes in pieces, and holds back what may still become one. Its result does not depend on how the text is cut: the text ends at
/// the first character at which some stop string is complete, before the earliest start of those that end there.
/// </summary>
public sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>True once a stop string was found; nothing is taken afterwards.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Characters that were neither let through nor cut off yet.</summary>
    public int HeldLength => _held.Length;

    /// <summary>Takes text and gives what is certain to stand before any stop string.</summary>
    public string Append(string text)
    {
        if (Stopped || text.Length == 0)
        {
            return "";
        }

        if (stops.Count == 0)
        {
            return text;
        }

        string candidate = _held + text;
        if (FindCut(candidate) is int cut)
        {
            Stopped = true;
            _held = "";
            return candidate[..cut];
        }

        int held = LongestOpenStop(candidate);
        _held = candidate[^held..];
        return candidate[..^held];
    }

    /// <summary>At the end of the text: what was held back and became no stop string.</summary>
    public string Flush()
    {
        string rest = _held;
        _held = "";
        return rest;
    }

    private int? FindCut(string candidate)
    {
        int firstEnd = int.MaxValue;
        int cut = 0;
        foreach (string stop in stops)
        {
            int start = candidate.IndexOf(stop, StringComparison.Ordinal);
            int end = start + stop.Length;
            if (start >= 0 && (end < firstEnd || (end == firstEnd && start < cut)))
            {
                (firstEnd, cut) = (end, start);
            }
        }

        return firstEnd == int.MaxValue ? null : cut;
    }

    /// <summary>Length of the longest end of the text that begins a stop string.</summary>
    private int LongestOpenStop(string candidate)
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, candidate.Length); length > longest; length--)
            {
                if (candidate.AsSpan(candidate.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                {
                    longest = length;
                    break;
                }
            }
        }

        return longest;
    }
}
