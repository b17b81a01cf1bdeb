namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>
/// One pass that cuts a text into pieces, in one forward walk: the hand-written form of a pre-tokenizer's regular expression. Text between two matches
/// is a piece of its own.
/// </summary>
internal abstract class Splitter
{
    /// <summary>End of the piece that begins at <paramref name="start"/>, a position of valid UTF-8 before its end; always greater than <paramref name="start"/>.</summary>
    public abstract int Next(ReadOnlySpan<byte> text, int start);

    protected static bool IsNewline(byte unit) => unit is (byte)'\r' or (byte)'\n';

    /// <summary>First position at or after <paramref name="position"/> whose class is not in <paramref name="classes"/>.</summary>
    protected static int SkipRun(ReadOnlySpan<byte> text, int position, CharClass classes)
    {
        while ((CharClasses.At(text, position, out int length) & classes) != 0)
        {
            position += length;
        }

        return position;
    }

    /// <summary>
    /// End of the white space at <paramref name="start"/> by <c>\s*[\r\n]+|\s+(?!\S)|\s+</c>: up to its last line end if it has one, else all but the last
    /// character when something follows, for that belongs to what follows.
    /// </summary>
    protected static int WhitespaceEnd(ReadOnlySpan<byte> text, int start, bool linesEndPieces = true)
    {
        int end = start;
        int last = start;
        int afterLine = 0;
        while (CharClasses.At(text, end, out int length) == CharClass.Whitespace)
        {
            last = end;
            end += length;
            afterLine = IsNewline(text[last]) ? end : afterLine;
        }

        if (linesEndPieces && afterLine > 0)
        {
            return afterLine;
        }

        return end < text.Length && last > start ? last : end;
    }
}
