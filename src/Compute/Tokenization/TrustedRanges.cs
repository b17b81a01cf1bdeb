using System.Text;

namespace Lamina.Compute.Tokenization;

/// <summary>Ranges of a text that its author vouches for, from UTF-16 to UTF-8 positions.</summary>
internal static class TrustedRanges
{
    /// <summary>The ranges in order, touching ones joined, empty ones dropped. A range that cuts a surrogate pair loses its half.</summary>
    public static (int Start, int End)[] ToUtf8(string text, IReadOnlyList<Range>? ranges)
    {
        if (ranges is null or { Count: 0 })
        {
            return [];
        }

        var joined = new List<(int Start, int End)>();
        foreach ((int start, int end) in ranges.Select(range => Bounds(text, range)).Where(range => range.Start < range.End).Order())
        {
            if (joined.Count > 0 && start <= joined[^1].End)
            {
                joined[^1] = (joined[^1].Start, Math.Max(joined[^1].End, end));
            }
            else
            {
                joined.Add((start, end));
            }
        }

        int utf16 = 0;
        int utf8 = 0;
        int Advance(int position)
        {
            utf8 += Encoding.UTF8.GetByteCount(text.AsSpan(utf16, position - utf16));
            utf16 = position;
            return utf8;
        }

        return [.. joined.Select(range => (Advance(range.Start), Advance(range.End)))];
    }

    private static (int Start, int End) Bounds(string text, Range range)
    {
        (int start, int length) = range.GetOffsetAndLength(text.Length);
        int end = start + length;
        return (CutsPair(text, start) ? start + 1 : start, CutsPair(text, end) ? end - 1 : end);
    }

    private static bool CutsPair(string text, int position) =>
        position > 0 && position < text.Length && char.IsSurrogatePair(text[position - 1], text[position]);
}
