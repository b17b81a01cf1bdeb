namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>Takes the pieces of a text in order.</summary>
internal interface IPieceSink
{
    void Piece(ReadOnlySpan<byte> text, int start, int end);
}

/// <summary>Cuts a text into the pieces within which merges may happen: each pass cuts the pieces of the one before.</summary>
internal sealed class PreTokenizer(params Splitter[] passes)
{
    public void Split<TSink>(ReadOnlySpan<byte> text, ref TSink sink)
        where TSink : IPieceSink, allows ref struct => Split(text, 0, text.Length, 0, ref sink);

    private void Split<TSink>(ReadOnlySpan<byte> text, int start, int end, int pass, ref TSink sink)
        where TSink : IPieceSink, allows ref struct
    {
        // A pass must not see beyond its piece: the piece's end counts as the end of the text.
        ReadOnlySpan<byte> piece = text[start..end];
        Splitter splitter = passes[pass];
        int position = 0;
        while (position < piece.Length)
        {
            int next = splitter.Next(piece, position);
            if (pass + 1 == passes.Length)
            {
                sink.Piece(text, start + position, start + next);
            }
            else
            {
                Split(text, start + position, start + next, pass + 1, ref sink);
            }

            position = next;
        }
    }
}
