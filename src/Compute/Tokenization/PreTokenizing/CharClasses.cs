using System.Globalization;

namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>The classes that splitting rules distinguish; a code point has exactly one. White space goes before the general category.</summary>
[Flags]
internal enum CharClass : byte
{
    /// <summary>Past the end of the text.</summary>
    None = 0,
    Letter = 1,
    Number = 2,
    Whitespace = 4,
    Punctuation = 8,
    Symbol = 16,
    Mark = 32,

    /// <summary>Control, format, surrogate and private use.</summary>
    Control = 64,
    Unassigned = 128,
}

/// <summary>Class of every code point, as of Unicode 15.1: the version whose tables tokenizers of published models are reproduced with.</summary>
internal static class CharClasses
{
    private const int CodePoints = 0x110000;

    // Code points that later Unicode versions assigned and the runtime therefore knows.
    private static readonly (int First, int Last)[] AssignedLater =
    [
        (0x0897, 0x0897), (0x1B4E, 0x1B4F), (0x1B7F, 0x1B7F), (0x1C89, 0x1C8A), (0x2427, 0x2429), (0x31E4, 0x31E5), (0xA7CB, 0xA7CD),
        (0xA7DA, 0xA7DC), (0x105C0, 0x105F3), (0x10D40, 0x10D65), (0x10D69, 0x10D85), (0x10D8E, 0x10D8F), (0x10EC2, 0x10EC4), (0x10EFC, 0x10EFC),
        (0x11380, 0x11389), (0x1138B, 0x1138B), (0x1138E, 0x1138E), (0x11390, 0x113B5), (0x113B7, 0x113C0), (0x113C2, 0x113C2), (0x113C5, 0x113C5),
        (0x113C7, 0x113CA), (0x113CC, 0x113D5), (0x113D7, 0x113D8), (0x113E1, 0x113E2), (0x116D0, 0x116E3), (0x11BC0, 0x11BE1), (0x11BF0, 0x11BF9),
        (0x11F5A, 0x11F5A), (0x13460, 0x143FA), (0x16100, 0x16139), (0x16D40, 0x16D79), (0x18CFF, 0x18CFF), (0x1CC00, 0x1CCF9), (0x1CD00, 0x1CEB3),
        (0x1E5D0, 0x1E5FA), (0x1E5FF, 0x1E5FF), (0x1F8B2, 0x1F8BB), (0x1F8C0, 0x1F8C1), (0x1FA89, 0x1FA89), (0x1FA8F, 0x1FA8F), (0x1FABE, 0x1FABE),
        (0x1FAC6, 0x1FAC6), (0x1FADC, 0x1FADC), (0x1FADF, 0x1FADF), (0x1FAE9, 0x1FAE9), (0x1FBCB, 0x1FBEF),
    ];

    private static readonly byte[] Table = Build();

    public static CharClass Of(int codePoint) => (CharClass)Table[codePoint];

    /// <summary>Class of the code point at a position of valid UTF-8 and its length in bytes; <see cref="CharClass.None"/> and 0 at the end.</summary>
    public static CharClass At(ReadOnlySpan<byte> text, int position, out int length)
    {
        if ((uint)position >= (uint)text.Length)
        {
            length = 0;
            return CharClass.None;
        }

        byte first = text[position];
        if (first < 0x80)
        {
            length = 1;
            return (CharClass)Table[first];
        }

        return (CharClass)Table[CodePointAt(text, position, out length)];
    }

    /// <summary>Decodes one code point of valid UTF-8.</summary>
    public static int CodePointAt(ReadOnlySpan<byte> text, int position, out int length)
    {
        byte first = text[position];
        switch (first)
        {
            case < 0x80:
                length = 1;
                return first;
            case < 0xE0:
                length = 2;
                return ((first & 0x1F) << 6) | (text[position + 1] & 0x3F);
            case < 0xF0:
                length = 3;
                return ((first & 0x0F) << 12) | ((text[position + 1] & 0x3F) << 6) | (text[position + 2] & 0x3F);
            default:
                length = 4;
                return ((first & 0x07) << 18) | ((text[position + 1] & 0x3F) << 12) | ((text[position + 2] & 0x3F) << 6) | (text[position + 3] & 0x3F);
        }
    }

    private static byte[] Build()
    {
        byte[] table = new byte[CodePoints];
        for (int codePoint = 0; codePoint < CodePoints; codePoint++)
        {
            table[codePoint] = (byte)FromCategory(codePoint);
        }

        foreach ((int first, int last) in AssignedLater)
        {
            table.AsSpan(first..(last + 1)).Fill((byte)CharClass.Unassigned);
        }

        return table;
    }

    private static CharClass FromCategory(int codePoint)
    {
        if (codePoint is (>= 0x09 and <= 0x0D) or 0x85)
        {
            return CharClass.Whitespace;
        }

        return CharUnicodeInfo.GetUnicodeCategory(codePoint) switch
        {
            <= UnicodeCategory.OtherLetter => CharClass.Letter,
            <= UnicodeCategory.EnclosingMark => CharClass.Mark,
            <= UnicodeCategory.OtherNumber => CharClass.Number,
            <= UnicodeCategory.ParagraphSeparator => CharClass.Whitespace,
            <= UnicodeCategory.PrivateUse => CharClass.Control,
            <= UnicodeCategory.OtherPunctuation => CharClass.Punctuation,
            <= UnicodeCategory.OtherSymbol => CharClass.Symbol,
            _ => CharClass.Unassigned,
        };
    }
}
