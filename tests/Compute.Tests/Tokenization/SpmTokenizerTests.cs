using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class SpmTokenizerTests
{
    private const int First = TestVocabularies.FirstSpmToken;

    // Ids:            259        260        261       262         263         264          265            266
    private static readonly (string, Kind, float)[] Tokens =
    [
        ("▁", Kind.Normal, -9), ("a", Kind.Normal, -9), ("b", Kind.Normal, -9), ("ab", Kind.Normal, -2), ("▁a", Kind.Normal, -1), ("▁ab", Kind.Normal, -3), ("▁▁", Kind.Normal, -1), ("ba", Kind.Normal, -2),
    ];

    private static Tokenizer Make() => TestVocabularies.Spm(Tokens).ToTokenizer();

    [Fact]
    public void Encode_Word_MergesBestScoreFirst()
    {
        // "▁ab": ▁a (-1) goes before ab (-2), then ▁ab.
        Assert.Equal([First + 5], Make().Encode("ab"));
    }

    [Fact]
    public void Encode_EqualScores_MergesLeftmostFirst()
    {
        // "▁aba": ▁a first; then only "ba" is left to merge, and ▁a + ba is no token.
        Assert.Equal([First + 4, First + 7], Make().Encode("aba"));

        // Without the leading space: ab and ba both score -2, the left one wins.
        Assert.Equal([First + 3, First + 1], TestVocabularies.Spm(Tokens).Set("tokenizer.ggml.add_space_prefix", false).ToTokenizer().Encode("aba"));
    }

    [Fact]
    public void Encode_CharacterThatIsNoToken_BecomesItsBytes()
    {
        // U+00E9 is C3 A9; byte tokens begin at 3.
        Assert.Equal([First, 3 + 0xC3, 3 + 0xA9], Make().Encode("é"));
    }

    [Fact]
    public void Encode_LoneSurrogate_BecomesReplacementCharacter() =>
        Assert.Equal([First, 3 + 0xEF, 3 + 0xBF, 3 + 0xBD], Make().Encode("\ud800"));

    [Fact]
    public void Encode_Spaces_CountLikeAnyCharacter()
    {
        // One space is added, so "  a" is three visible spaces and a: ▁a has score -1 as ▁▁ has, the leftmost pair goes first.
        Assert.Equal([First + 6, First + 4], Make().Encode("  a"));
    }

    [Fact]
    public void Encode_EmptyText_GivesNothing() => Assert.Empty(Make().Encode(""));

    [Trait("Attack", "U1")]
    [Fact]
    public void Encode_ControlTokensText_StaysText()
    {
        Tokenizer tokenizer = Make();

        Assert.DoesNotContain(1, tokenizer.Encode("<s>a</s>"));
        Assert.Equal([1, First + 4, 2], tokenizer.Encode("<s>a</s>", [Range.All]));
    }

    [Trait("Attack", "U1")]
    [Fact]
    public void Encode_ControlTokenReachableByMerges_StaysText()
    {
        // "<s" is a token, so merging could arrive at "<s>".
        Tokenizer tokenizer = TestVocabularies.Spm(("<s", Kind.Normal, -1), ("<", Kind.Normal, -5), ("s", Kind.Normal, -5), (">", Kind.Normal, -5)).ToTokenizer();

        Assert.Equal([First, First + 3], tokenizer.Encode("<s>")[^2..]);
    }

    [Fact]
    public void Encode_AfterControlToken_AddsSpaceAgain() => Assert.Equal([First + 4, 1, First + 4], Make().Encode("a<s>a", [1..4]));

    [Fact]
    public void Decode_WholeSequence_DropsTheSpaceThatEncodingAdded()
    {
        Tokenizer tokenizer = Make();

        Assert.Equal("ab a", tokenizer.Decode(tokenizer.Encode("ab a")));
        Assert.Equal("  ", tokenizer.Decode(tokenizer.Encode("  ")));
        Assert.Equal("aé\u0001", tokenizer.Decode(tokenizer.Encode("aé\u0001")));
    }

    [Fact]
    public void FromGguf_FileThatNamesNoSpecialTokens_HasThoseOfTheFamily()
    {
        Tokenizer tokenizer = Make();

        Assert.Equal((1, 2, false, false), (tokenizer.Bos, tokenizer.Eos, tokenizer.AddBos, tokenizer.AddEos));
        Assert.Equal([2], tokenizer.EndOfGeneration);
    }

    [Fact]
    public void Encode_LongText_TakesTheHeapAndGivesTheSame()
    {
        // Words above 32 characters are merged by a heap; "ab" tiles them whatever the length.
        Tokenizer tokenizer = TestVocabularies.Spm(Tokens).Set("tokenizer.ggml.add_space_prefix", false).ToTokenizer();

        Assert.Equal(Enumerable.Repeat(First + 3, 20), tokenizer.Encode(string.Concat(Enumerable.Repeat("ab", 20))));
        Assert.Equal(Enumerable.Repeat(First + 3, 10), tokenizer.Encode(string.Concat(Enumerable.Repeat("ab", 10))));
    }

    [Fact]
    public void Encode_TokenWithInnerSpace_IsFoundAcrossWords()
    {
        Tokenizer tokenizer = TestVocabularies.Spm([.. Tokens, ("a▁b", Kind.Normal, 0), ("a▁", Kind.Normal, 0)]).ToTokenizer();

        // "▁a▁b": a▁ and a▁b have the highest score.
        Assert.Equal([First, First + 8], tokenizer.Encode("a b"));
    }
}
