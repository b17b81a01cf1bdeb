namespace Lamina.Node.Scheduling;

/// <summary>Guesses how a sequence goes on from what it said before: after the longest earlier occurrence of its last tokens. Keeps nothing.</summary>
internal sealed class PromptLookup : IDrafter
{
    /// <summary>A text that did not repeat itself here seldom does a token later.</summary>
    public int Patience => 0;

    public int Guess(int slot, ReadOnlySpan<int> tokens, Span<int> draft) => TryFill(tokens, draft) ? draft.Length : 0;

    public void Release(int slot)
    {
    }

    /// <summary>Shorter agreements predict little.</summary>
    public const int MinMatch = 2;

    /// <summary>Longer agreements are not told apart: the latest wins.</summary>
    private const int EnoughMatch = 8;

    /// <summary>Bounds the search through a text that repeats its last pair of tokens often.</summary>
    private const int MaxCandidates = 32;

    /// <summary>Fills <paramref name="draft"/> with the tokens that may follow, and returns whether there was anything to go by. Continues cyclically where the earlier occurrence reaches the end.</summary>
    public static bool TryFill(ReadOnlySpan<int> tokens, Span<int> draft)
    {
        if (tokens.Length <= MinMatch || draft.IsEmpty)
        {
            return false;
        }

        ReadOnlySpan<int> last = tokens[^MinMatch..];
        ReadOnlySpan<int> earlier = tokens[..^1];
        int start = -1;
        int longest = 0;
        for (int i = 0; i < MaxCandidates && longest < EnoughMatch; i++)
        {
            int at = earlier.LastIndexOf(last);
            if (at < 0)
            {
                break;
            }

            int match = MatchLength(tokens, at + MinMatch);
            if (match > longest)
            {
                (longest, start) = (match, at + MinMatch);
            }

            earlier = earlier[..(at + MinMatch - 1)];
        }

        for (int i = 0; i < draft.Length && start >= 0; i++)
        {
            draft[i] = start + i < tokens.Length ? tokens[start + i] : draft[start + i - tokens.Length];
        }

        return start >= 0;
    }

    /// <summary>How many tokens before <paramref name="end"/> equal those at the end of the sequence.</summary>
    private static int MatchLength(ReadOnlySpan<int> tokens, int end)
    {
        int length = 0;
        while (length < EnoughMatch && length < end && tokens[end - 1 - length] == tokens[^(length + 1)])
        {
            length++;
        }

        return length;
    }
}
