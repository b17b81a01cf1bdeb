using System.Text;

namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>A set of characters: whole classes and ranges of code points, or all but these. White space is a member only through its class.</summary>
internal sealed class CharSet(CharClass classes, string characters = "", string ranges = "", bool negated = false)
{
    private readonly (int First, int Last)[] ranges = Parse(characters, ranges);

    public bool Contains(int codePoint)
    {
        CharClass found = CharClasses.Of(codePoint);
        if (found == CharClass.Whitespace && codePoint >= 0x80)
        {
            return ((classes & CharClass.Whitespace) != 0) ^ negated;
        }

        return ((found & classes) != 0 || InRanges(codePoint)) ^ negated;
    }

    private bool InRanges(int codePoint)
    {
        int low = 0;
        int high = ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            if (codePoint < ranges[middle].First)
            {
                high = middle - 1;
            }
            else if (codePoint > ranges[middle].Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    /// <param name="ranges">Hexadecimal code points, <c>first-last</c> or one alone, separated by spaces.</param>
    private static (int First, int Last)[] Parse(string characters, string ranges)
    {
        var all = new List<(int First, int Last)>();
        foreach (Rune rune in characters.EnumerateRunes())
        {
            all.Add((rune.Value, rune.Value));
        }

        foreach (string range in ranges.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] bounds = range.Split('-');
            int first = Convert.ToInt32(bounds[0], 16);
            all.Add((first, bounds.Length > 1 ? Convert.ToInt32(bounds[1], 16) : first));
        }

        all.Sort();
        return [.. all];
    }
}
