namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>SentencePiece writes a space as U+2581, so that it shows.</summary>
internal static class VisibleSpaces
{
    public static ReadOnlySpan<byte> Space => "\u2581"u8;

    /// <summary>Bytes that <see cref="Escape"/> may write.</summary>
    public static int MaxEscapedLength(int length) => checked((length + 1) * 3);

    /// <summary>Writes the text with visible spaces, one more before it if asked; returns the bytes written.</summary>
    public static int Escape(ReadOnlySpan<byte> text, bool spaceBefore, Span<byte> destination)
    {
        int written = 0;
        if (spaceBefore)
        {
            Space.CopyTo(destination);
            written = Space.Length;
        }

        while (true)
        {
            int space = text.IndexOf((byte)' ');
            int plain = space < 0 ? text.Length : space;
            text[..plain].CopyTo(destination[written..]);
            written += plain;
            if (space < 0)
            {
                return written;
            }

            Space.CopyTo(destination[written..]);
            written += Space.Length;
            text = text[(space + 1)..];
        }
    }

    /// <summary>The text with ordinary spaces, in <paramref name="buffer"/>, which must be as long as the text.</summary>
    public static ReadOnlySpan<byte> Unescape(ReadOnlySpan<byte> text, Span<byte> buffer)
    {
        int written = 0;
        while (!text.IsEmpty)
        {
            if (text.StartsWith(Space))
            {
                buffer[written++] = (byte)' ';
                text = text[Space.Length..];
            }
            else
            {
                buffer[written++] = text[0];
                text = text[1..];
            }
        }

        return buffer[..written];
    }
}
