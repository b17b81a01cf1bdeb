namespace Lamina.Compute.Templates.Values;

/// <summary>Python counts text in code points, .NET in UTF-16 units: positions from one to the other.</summary>
internal static class CodePoints
{
    public static int Count(string text)
    {
        int count = text.Length;
        for (int i = 1; i < text.Length; i++)
        {
            count -= char.IsSurrogatePair(text[i - 1], text[i]) ? 1 : 0;
        }

        return count;
    }

    /// <summary>The text cut into code points, each with its marks.</summary>
    public static List<Value> Split(MarkedText text)
    {
        List<Value> parts = new(text.Length);
        for (int i = 0; i < text.Length;)
        {
            int length = i + 1 < text.Length && char.IsSurrogatePair(text.Value[i], text.Value[i + 1]) ? 2 : 1;
            parts.Add(new TextValue(text.Slice(i, length)));
            i += length;
        }

        return parts;
    }

    /// <summary>UTF-16 offset of a code point's index, which may be the count.</summary>
    public static int Offset(string text, int index)
    {
        int offset = 0;
        for (; index > 0 && offset < text.Length; index--)
        {
            offset += offset + 1 < text.Length && char.IsSurrogatePair(text[offset], text[offset + 1]) ? 2 : 1;
        }

        return offset;
    }
}
