using Lamina.Compute.Gguf;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>Kinds of tokens, numbered as in the file.</summary>
internal enum Kind
{
    Undefined, Normal, Unknown, Control, UserDefined, Unused, Byte,
}

/// <summary>Small vocabularies made by hand.</summary>
internal static class TestVocabularies
{
    /// <summary>SentencePiece: 0 unknown, 1 BOS, 2 EOS, 3-258 the bytes, then these tokens.</summary>
    public const int FirstSpmToken = 259;

    public static GgufMetadataBuilder Metadata(string model, params (string Text, Kind Kind, float Score)[] tokens) => new GgufMetadataBuilder()
        .Set("tokenizer.ggml.model", model)
        .Set("tokenizer.ggml.tokens", tokens.Select(token => token.Text).ToArray())
        .Set("tokenizer.ggml.token_type", tokens.Select(token => (int)token.Kind).ToArray())
        .Set("tokenizer.ggml.scores", tokens.Select(token => token.Score).ToArray());

    public static GgufMetadataBuilder Spm(params (string Text, Kind Kind, float Score)[] tokens) => Metadata(
        "llama",
        [
            ("<unk>", Kind.Unknown, 0), ("<s>", Kind.Control, 0), ("</s>", Kind.Control, 0),
            .. Enumerable.Range(0, 256).Select(value => ($"<0x{value:X2}>", Kind.Byte, 0f)),
            .. tokens,
        ]);

    /// <summary>Byte-level BPE: 0-255 the bytes in order, then the results of the merges, then the added tokens.</summary>
    public static GgufMetadataBuilder Bpe(string pre, string[] merges, params (string Text, Kind Kind)[] added) => Metadata(
            "gpt2",
            [
                .. Enumerable.Range(0, 256).Select(value => (Letter((byte)value), Kind.Normal, 0f)),
                .. merges.Select(merge => (merge.Replace(" ", "", StringComparison.Ordinal), Kind.Normal, 0f)),
                .. added.Select(token => (token.Text, token.Kind, 0f)),
            ])
        .Set("tokenizer.ggml.pre", pre)
        .Set("tokenizer.ggml.merges", merges);

    public static Tokenizer ToTokenizer(this GgufMetadataBuilder builder) => Tokenizer.FromGguf(builder.Build());

    public static Tokenizer BuiltInModel()
    {
        using GgufFile file = GgufFile.Open(TestSupport.Repository.File("models/lamina-tiny-q8_0.gguf"));
        return Tokenizer.FromGguf(file.Metadata);
    }

    /// <summary>The character that stands for a byte in GPT-2's alphabet.</summary>
    public static string Letter(byte value)
    {
        static bool Printable(int value) => value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
        int code = Printable(value) ? value : 0x100 + Enumerable.Range(0, value).Count(lower => !Printable(lower));
        return ((char)code).ToString();
    }
}
