using System.Text;

namespace Lamina.Compute.Tokenization;

/// <summary>
/// Turns one generation's tokens into text as they come, never splitting a UTF-8 sequence. The text continues a prompt, so a first token's leading space is kept.
/// </summary>
public sealed class IncrementalDetokenizer
{
    private readonly Tokenizer tokenizer;
    private readonly bool special;
    private readonly IReadOnlySet<int>? shown;
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    /// <param name="shown">Control tokens that show although <paramref name="special"/> is false.</param>
    public IncrementalDetokenizer(Tokenizer tokenizer, bool special = false, IReadOnlySet<int>? shown = null)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        this.tokenizer = tokenizer;
        this.special = special;
        this.shown = shown;
    }

    /// <summary>Text that became complete with this token; empty while a sequence is open.</summary>
    public string Append(int id) => Decode(tokenizer.Bytes(id, special || shown?.Contains(id) == true), flush: false);

    /// <summary>What is left at the end, incomplete bytes as U+FFFD.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        // An open sequence of three bytes and each new byte may each become one replacement character.
        Span<char> chars = bytes.Length <= 256 ? stackalloc char[260] : new char[bytes.Length + 4];
        int written = decoder.GetChars(bytes, chars, flush);
        return written == 0 ? "" : new string(chars[..written]);
    }
}
