using System.Globalization;

namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>How a vocabulary's texts are written.</summary>
internal enum TextForm
{
    /// <summary>Every byte as a character of <see cref="ByteAlphabet"/>.</summary>
    ByteAlphabet,

    /// <summary>Plain text, U+2581 standing for a space.</summary>
    VisibleSpaces,
}

/// <summary>The tokens of a model: texts as the file writes them, attributes, scores, special ids.</summary>
internal sealed class Vocabulary
{
    private readonly byte[] texts;
    private readonly int[] textEnds;
    private readonly TokenAttributes[] attributes;
    private readonly float[]? scores;
    private readonly byte[] pieces;
    private readonly int[] pieceEnds;

    public Vocabulary(IReadOnlyList<ReadOnlyMemory<byte>> tokens, TokenAttributes[] attributes, float[]? scores, TextForm form)
    {
        this.attributes = attributes;
        this.scores = scores;
        (texts, textEnds) = Concatenate(tokens.Count, id => tokens[id].Span);
        Form = form;

        byte[] buffer = new byte[TokenizerLimits.TokenBytes];
        (pieces, pieceEnds) = Concatenate(tokens.Count, id => Piece(id, buffer));
    }

    public TextForm Form { get; }
    public int Count => textEnds.Length;

    public int? Bos { get; init; }
    public int? Eos { get; init; }
    public int? Unknown { get; init; }
    public bool AddBos { get; init; }
    public bool AddEos { get; init; }
    public required IReadOnlySet<int> EndOfGeneration { get; init; }

    /// <summary>The token as the file writes it.</summary>
    public ReadOnlySpan<byte> Text(int id) => Slice(texts, textEnds, id);

    /// <summary>The bytes it stands for; a control token's own text.</summary>
    public ReadOnlySpan<byte> Bytes(int id) => Slice(pieces, pieceEnds, id);

    public bool Has(int id, TokenAttributes any) => (attributes[id] & any) != 0;

    public float Score(int id) => scores?[id] ?? 0;

    /// <summary>Whether the ordinary algorithm may produce the token from text; added tokens that only trusted text yields never come this way.</summary>
    public bool IsReachable(int id) => !Has(id, TokenAttributes.TrustedOnly) && textEnds[id] > (id == 0 ? 0 : textEnds[id - 1]);

    /// <summary>The byte of a text such as <c>&lt;0x0A&gt;</c>, or -1.</summary>
    public static int ParseByte(ReadOnlySpan<byte> text)
    {
        bool fits = text.Length == 6 && text.StartsWith("<0x"u8) && text[5] == '>';
        return fits && byte.TryParse(text.Slice(3, 2), NumberStyles.AllowHexSpecifier, null, out byte value) ? value : -1;
    }

    private ReadOnlySpan<byte> Piece(int id, byte[] buffer)
    {
        ReadOnlySpan<byte> text = Text(id);
        if (Has(id, TokenAttributes.Control | TokenAttributes.Unknown | TokenAttributes.UserDefined))
        {
            return text;
        }

        if (Has(id, TokenAttributes.Byte) && ParseByte(text) is >= 0 and int value)
        {
            buffer[0] = (byte)value;
            return buffer.AsSpan(0, 1);
        }

        if (!Has(id, TokenAttributes.Normal | TokenAttributes.Byte))
        {
            return [];
        }

        if (Form == TextForm.ByteAlphabet)
        {
            return ByteAlphabet.TryDecode(text, buffer, out int written) ? buffer.AsSpan(0, written) : text;
        }

        return VisibleSpaces.Unescape(text, buffer);
    }

    private static ReadOnlySpan<byte> Slice(byte[] bytes, int[] ends, int id)
    {
        int start = id == 0 ? 0 : ends[id - 1];
        return bytes.AsSpan(start, ends[id] - start);
    }

    private static (byte[] Bytes, int[] Ends) Concatenate(int count, SpanOf item)
    {
        using var bytes = new MemoryStream();
        int[] ends = new int[count];
        for (int id = 0; id < count; id++)
        {
            bytes.Write(item(id));
            ends[id] = checked((int)bytes.Length);
        }

        return (bytes.ToArray(), ends);
    }

    private delegate ReadOnlySpan<byte> SpanOf(int id);
}
