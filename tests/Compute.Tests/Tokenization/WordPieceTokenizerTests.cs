using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class WordPieceTokenizerTests
{
    private static Tokenizer Make() => TestVocabularies
        .Metadata(
            "bert",
            ("[UNK]", Kind.Unknown, 0), ("[CLS]", Kind.Control, 0), ("[SEP]", Kind.Control, 0), ("▁un", Kind.Normal, 0), ("aff", Kind.Normal, 0), ("able", Kind.Normal, 0),
            ("▁unaff", Kind.Normal, 0), ("▁,", Kind.Normal, 0), ("▁北", Kind.Normal, 0), ("▁京", Kind.Normal, 0), ("▁ecole", Kind.Normal, 0))
        .Set("tokenizer.ggml.unknown_token_id", 0).Set("tokenizer.ggml.bos_token_id", 1).Set("tokenizer.ggml.seperator_token_id", 2)
        .ToTokenizer();

    [Theory]
    [InlineData("unaffable", new[] { 6, 5 })]
    [InlineData("UN, able", new[] { 3, 7, 0 })]
    [InlineData("unxaffable un", new[] { 0, 3 })]
    [InlineData("北京", new[] { 8, 9 })]
    [InlineData("École ECOLE e\u0301cole", new[] { 10, 10, 10 })]
    [InlineData("un\u0000\u200Baff", new[] { 6 })]
    [InlineData(" \t\n", new int[0])]
    public void Encode_Words_TakeLongestTokensFromTheLeft(string text, int[] expected) => Assert.Equal(expected, Make().Encode(text));

    [Fact]
    public void Build_Prompt_StandsBetweenClassAndSeparator() => Assert.Equal([1, 3, 2], Prompt.Build(Make(), "un"));
}
