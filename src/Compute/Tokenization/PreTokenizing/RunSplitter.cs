namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>What may stand before a run and belongs to its piece.</summary>
internal enum RunPrefix
{
    None,
    Space,
    Whitespace,
}

/// <summary>Isolates runs of one set of characters, such as <c>\p{N}{1,3}</c> or <c>\s?\p{P}+</c>.</summary>
internal sealed class RunSplitter(CharSet set, int min = 1, int max = int.MaxValue, RunPrefix prefix = RunPrefix.None) : Splitter
{
    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        int end = MatchEnd(text, start, out int length);
        if (end > 0)
        {
            return end;
        }

        for (int position = start + length; position < text.Length; position += length)
        {
            if (MatchEnd(text, position, out length) > 0)
            {
                return position;
            }
        }

        return text.Length;
    }

    /// <summary>End of the match at a position, or 0.</summary>
    private int MatchEnd(ReadOnlySpan<byte> text, int position, out int firstLength)
    {
        CharClass first = CharClasses.At(text, position, out firstLength);
        bool prefixed = prefix switch
        {
            RunPrefix.Space => text[position] == ' ',
            RunPrefix.Whitespace => first == CharClass.Whitespace,
            _ => false,
        };

        if (prefixed)
        {
            int end = RunEnd(text, position + firstLength);
            if (end > 0)
            {
                return end;
            }
        }

        return RunEnd(text, position);
    }

    private int RunEnd(ReadOnlySpan<byte> text, int position)
    {
        int count = 0;
        while (count < max && position < text.Length)
        {
            int codePoint = CharClasses.CodePointAt(text, position, out int length);
            if (!set.Contains(codePoint))
            {
                break;
            }

            count++;
            position += length;
        }

        return count >= min ? position : 0;
    }
}

/// <summary>Isolates the white space at the end of the text: <c>\s+$</c>.</summary>
internal sealed class TrailingWhitespaceSplitter : Splitter
{
    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        int end = text.Length;
        while (end > start)
        {
            int last = end - 1;
            while (last > start && (text[last] & 0xC0) == 0x80)
            {
                last--;
            }

            if (CharClasses.At(text, last, out _) != CharClass.Whitespace)
            {
                break;
            }

            end = last;
        }

        return end > start ? end : text.Length;
    }
}
