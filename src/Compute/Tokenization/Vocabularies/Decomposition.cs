using System.Globalization;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>
/// The base character of each character that is canonically composed. The runtime's own normalisation needs ICU, which invariant globalisation leaves out; WordPiece
/// drops the marks anyway, so the first code point is enough.
/// </summary>
internal static partial class Decomposition
{
    private const int FirstHangul = 0xAC00;
    private const int LastHangul = 0xD7A3;
    private const int FirstLeadingConsonant = 0x1100;
    private const int SyllablesPerLeadingConsonant = 588;

    private static readonly Dictionary<int, int> Bases = Parse();

    public static int FirstOf(int codePoint)
    {
        if (codePoint < 0xC0)
        {
            return codePoint;
        }

        return codePoint is >= FirstHangul and <= LastHangul
            ? FirstLeadingConsonant + ((codePoint - FirstHangul) / SyllablesPerLeadingConsonant)
            : Bases.GetValueOrDefault(codePoint, codePoint);
    }

    private static Dictionary<int, int> Parse()
    {
        var bases = new Dictionary<int, int>();
        foreach (string entry in Source.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] parts = entry.Split('-', ':');
            int target = int.Parse(parts[^1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            int first = int.Parse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            int last = parts.Length == 3 ? int.Parse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture) : first;
            for (int codePoint = first; codePoint <= last; codePoint++)
            {
                bases.Add(codePoint, target);
            }
        }

        return bases;
    }
}
