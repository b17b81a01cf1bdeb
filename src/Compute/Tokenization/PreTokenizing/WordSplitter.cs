namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>How letters form a word.</summary>
internal enum WordShape
{
    /// <summary><c> ?\p{L}+| ?\p{N}+</c>: only a space joins, numbers included.</summary>
    SpacePrefix,

    /// <summary><c>[^\r\n\p{L}\p{N}]?\p{L}+</c>: any one character that is not a letter, number or line end joins.</summary>
    AnyPrefix,

    /// <summary>As <see cref="AnyPrefix"/>, but a word ends before an upper-case letter that follows a lower-case one.</summary>
    CamelCase,
}

internal enum Contractions
{
    None,

    /// <summary>'s 't 're 've 'm 'll 'd as pieces of their own, lower case only.</summary>
    LowerCase,

    /// <summary>The same in any case.</summary>
    AnyCase,

    /// <summary>In any case, as the end of the word before.</summary>
    Suffix,
}

/// <summary>
/// Words, numbers, punctuation and white space as the expressions of GPT-2, Llama 3, Qwen 2, GPT-4o and their relatives cut them. They all are
/// <c>contraction | word | number | ?punctuation+tail | \s*[\r\n]+ | \s+(?!\S) | \s+</c> and differ in the options.
/// </summary>
internal sealed class WordSplitter : Splitter
{
    public required WordShape Shape { get; init; }
    public Contractions Contractions { get; init; } = Contractions.AnyCase;

    /// <summary>Longest piece of digits.</summary>
    public int MaxDigits { get; init; } = int.MaxValue;

    /// <summary>Whether combining marks belong to words rather than to punctuation.</summary>
    public bool MarksInWords { get; init; }

    /// <summary>Whether combining marks that are part of words still extend a run of punctuation.</summary>
    public bool MarksInPunctuation { get; init; }

    /// <summary>Bytes that may follow punctuation in the same piece.</summary>
    public string PunctuationTail { get; init; } = "";

    /// <summary>Whether white space up to its last line end is a piece.</summary>
    public bool LinesEndPieces { get; init; } = true;

    private CharClass Word => MarksInWords ? CharClass.Letter | CharClass.Mark : CharClass.Letter;

    private CharClass Other
    {
        get
        {
            CharClass marks = MarksInWords && !MarksInPunctuation ? 0 : CharClass.Mark;
            return CharClass.Punctuation | CharClass.Symbol | CharClass.Control | CharClass.Unassigned | marks;
        }
    }

    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        byte first = text[start];
        if (first == '\'' && Contractions is Contractions.LowerCase or Contractions.AnyCase)
        {
            int length = ContractionLength(text, start, Contractions == Contractions.AnyCase);
            if (length > 0)
            {
                return start + length;
            }
        }

        CharClass firstClass = CharClasses.At(text, start, out int firstLength);
        int end = Shape == WordShape.SpacePrefix ? SpacedRun(text, start, first, firstClass) : PrefixedWord(text, start, first, firstClass, firstLength);
        if (end > 0)
        {
            return end;
        }

        if (firstClass == CharClass.Number)
        {
            return Digits(text, start);
        }

        int symbols = first == ' ' ? start + 1 : start;
        end = SkipRun(text, symbols, Other);
        return end > symbols ? Tail(text, end) : WhitespaceEnd(text, start, LinesEndPieces);
    }

    private static int SpacedRun(ReadOnlySpan<byte> text, int start, byte first, CharClass firstClass)
    {
        int begin = first == ' ' ? start + 1 : start;
        CharClass run = first == ' ' ? CharClasses.At(text, begin, out _) : firstClass;
        return run is CharClass.Letter or CharClass.Number ? SkipRun(text, begin, run) : 0;
    }

    private int PrefixedWord(ReadOnlySpan<byte> text, int start, byte first, CharClass firstClass, int firstLength)
    {
        bool prefix = (firstClass & (CharClass.Letter | CharClass.Number)) == 0 && !IsNewline(first);
        bool letterFirst = (firstClass & Word) != 0;
        bool afterPrefix = prefix && (CharClasses.At(text, start + firstLength, out _) & Word) != 0;
        if (!letterFirst && !afterPrefix)
        {
            return 0;
        }

        int end;
        if (Shape == WordShape.AnyPrefix)
        {
            end = SkipRun(text, start + firstLength, Word);
        }
        else
        {
            // The order of the alternatives matters where a mark may be prefix or word.
            end = afterPrefix ? LowerEnding(text, start + firstLength) : 0;
            end = end == 0 && letterFirst ? LowerEnding(text, start) : end;
            end = end == 0 ? UpperRun(text, afterPrefix ? start + firstLength : start) : end;
        }

        return Contractions == Contractions.Suffix ? end + ContractionLength(text, end, anyCase: true) : end;
    }

    /// <summary>
    /// Upper-case letters, then at least one lower-case one. Letters outside ASCII count as both, so where no lower-case ASCII letter follows, the last of
    /// them takes the part of the lower-case end. 0 when nothing fits.
    /// </summary>
    private int LowerEnding(ReadOnlySpan<byte> text, int start)
    {
        int position = start;
        int lastOutsideAscii = 0;
        while ((CharClasses.At(text, position, out int length) & Word) != 0 && text[position] is < (byte)'a' or > (byte)'z')
        {
            position += length;
            lastOutsideAscii = length > 1 ? position : lastOutsideAscii;
        }

        if (position >= text.Length || text[position] is < (byte)'a' or > (byte)'z')
        {
            return lastOutsideAscii;
        }

        while ((CharClasses.At(text, position, out int length) & Word) != 0 && text[position] is < (byte)'A' or > (byte)'Z')
        {
            position += length;
        }

        return position;
    }

    private int UpperRun(ReadOnlySpan<byte> text, int position)
    {
        while ((CharClasses.At(text, position, out int length) & Word) != 0 && text[position] is < (byte)'a' or > (byte)'z')
        {
            position += length;
        }

        return position;
    }

    private int Digits(ReadOnlySpan<byte> text, int position)
    {
        for (int count = 0; count < MaxDigits && CharClasses.At(text, position, out int length) == CharClass.Number; count++)
        {
            position += length;
        }

        return position;
    }

    private int Tail(ReadOnlySpan<byte> text, int position)
    {
        while (position < text.Length && PunctuationTail.Contains((char)text[position]))
        {
            position++;
        }

        return position;
    }

    /// <summary>Bytes of the English contraction at a position, or 0.</summary>
    private static int ContractionLength(ReadOnlySpan<byte> text, int position, bool anyCase)
    {
        if (position + 1 >= text.Length || text[position] != '\'')
        {
            return 0;
        }

        int lower = anyCase ? 0x20 : 0;
        char second = (char)(text[position + 1] | lower);
        if (second is 's' or 't' or 'm' or 'd')
        {
            return 2;
        }

        if (position + 2 >= text.Length)
        {
            return 0;
        }

        char third = (char)(text[position + 2] | lower);
        return (second, third) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }
}
