namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>
/// The last pass of DeepSeek V3 and its relatives:
/// <c>[ascii punctuation][A-Za-z]+ | [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+ | ?[\p{P}\p{S}]+[\r\n]* | \s*[\r\n]+ | \s+(?!\S) | \s+</c>.
/// Numbers and control characters match nothing and stay together.
/// </summary>
internal sealed class PunctuationSplitter : Splitter
{
    private const CharClass Word = CharClass.Letter | CharClass.Mark;
    private const CharClass Symbols = CharClass.Punctuation | CharClass.Symbol;

    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        int end = MatchEnd(text, start, out int length);
        if (end > 0)
        {
            return end;
        }

        // Only numbers, control and unassigned characters match nothing; a run of them ends before what can match.
        int position = start + length;
        while (position < text.Length && MatchEnd(text, position, out length) == 0)
        {
            position += length;
        }

        return position;
    }

    private static int MatchEnd(ReadOnlySpan<byte> text, int start, out int firstLength)
    {
        CharClass first = CharClasses.At(text, start, out firstLength);
        int second = start + firstLength;
        if (firstLength == 1 && (first & Symbols) != 0 && IsAsciiLetterAt(text, second))
        {
            int end = second;
            while (IsAsciiLetterAt(text, end))
            {
                end++;
            }

            return end;
        }

        bool prefix = (first & (CharClass.Letter | Symbols)) == 0 && !IsNewline(text[start]);
        if ((first & Word) != 0 || (prefix && (CharClasses.At(text, second, out _) & Word) != 0))
        {
            return SkipRun(text, second, Word);
        }

        int symbols = text[start] == ' ' ? second : start;
        int symbolsEnd = SkipRun(text, symbols, Symbols);
        if (symbolsEnd > symbols)
        {
            while (symbolsEnd < text.Length && IsNewline(text[symbolsEnd]))
            {
                symbolsEnd++;
            }

            return symbolsEnd;
        }

        return first == CharClass.Whitespace ? WhitespaceEnd(text, start) : 0;
    }

    private static bool IsAsciiLetterAt(ReadOnlySpan<byte> text, int position) => position < text.Length && char.IsAsciiLetter((char)text[position]);
}
