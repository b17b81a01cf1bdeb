using Lamina.Compute.Gguf;

namespace Lamina.Compute.Tokenization;

/// <summary>
/// Text to token ids and back, as the model's file says. Immutable and thread-safe.
/// </summary>
public abstract class Tokenizer
{
    public abstract int VocabularySize { get; }

    /// <summary>Id that starts a text, or null; <see cref="AddBos"/> says whether prompts get one.</summary>
    public abstract int? Bos { get; }
    public abstract int? Eos { get; }
    public abstract bool AddBos { get; }
    public abstract bool AddEos { get; }

    /// <summary>Tokens that end a generation (end of text, end of turn, end of message).</summary>
    public abstract IReadOnlySet<int> EndOfGeneration { get; }

    /// <summary>Builds the tokenizer that <c>tokenizer.ggml.model</c> and <c>tokenizer.ggml.pre</c> name. Throws <see cref="NotSupportedException"/> naming what is not supported, <see cref="InvalidDataException"/> for a malformed vocabulary.</summary>
    public static Tokenizer FromGguf(GgufMetadata metadata) => TokenizerFactory.Create(metadata);

    /// <summary>Ids of the text alone, no BOS or EOS.</summary>
    /// <param name="trusted">Ranges of the text in which control tokens' texts yield the control tokens; none by default: a user's text never becomes control tokens.</param>
    public abstract int[] Encode(string text, IReadOnlyList<Range>? trusted = null);

    /// <summary>True for control and unknown tokens, which do not show in output text.</summary>
    public abstract bool IsControl(int id);

    /// <summary>The bytes a token stands for in output; empty for control tokens unless <paramref name="special"/>. May be part of a UTF-8 sequence.</summary>
    public abstract ReadOnlySpan<byte> Bytes(int id, bool special = false);

    /// <summary>Text of a whole sequence; invalid UTF-8 becomes U+FFFD.</summary>
    public abstract string Decode(ReadOnlySpan<int> ids, bool special = false);
}
