using System.Text;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class BpeTokenizerTests
{
    // Ids 256, 257, ... in this order; "Ġ" is the space.
    private static readonly string[] Merges = ["l o", "lo w", "Ġ low", "e r", "low er", "Ã ©"];

    private static Tokenizer Make(string pre = "gpt-2", params (string, Kind)[] added) => TestVocabularies.Bpe(pre, Merges, added).ToTokenizer();

    [Fact]
    public void Encode_Word_MergesByRank()
    {
        Assert.Equal([257], Make().Encode("low"));
        Assert.Equal([258], Make().Encode(" low"));

        // "Ġlower": Ġlow has a lower rank than er and lower.
        Assert.Equal([258, 259], Make().Encode(" lower"));
        Assert.Equal([260], Make().Encode("lower"));
    }

    [Fact]
    public void Encode_BytesOfOneCharacter_Merge() => Assert.Equal([261, 0xC3, 0xA8], Make().Encode("éè"));

    [Fact]
    public void Encode_PieceOfManyBytes_GivesTheSameAsAShortOne()
    {
        Assert.Equal(Enumerable.Repeat(257, 40), Make().Encode(string.Concat(Enumerable.Repeat("low", 40))));
        Assert.Equal(Enumerable.Repeat(257, 4), Make().Encode(string.Concat(Enumerable.Repeat("low", 4))));
    }

    [Fact]
    public void Encode_RepeatedWords_GiveTheSameEachTime()
    {
        int[] once = Make().Encode(" lowest slower");

        Assert.Equal(Enumerable.Repeat(once, 300).SelectMany(ids => ids), Make().Encode(string.Concat(Enumerable.Repeat(" lowest slower", 300))));
    }

    [Fact]
    public void Encode_WholeWordIsToken_ComesBeforeMergesWhereTheRuleSaysSo()
    {
        // "xyz" is a token that no merge builds.
        Assert.Equal(['x', 'y', 'z'], Make("gpt-2", ("xyz", Kind.Normal)).Encode("xyz").Select(id => (char)id));
        Assert.Equal([262], Make("llama-bpe", ("xyz", Kind.Normal)).Encode("xyz"));
    }

    [Fact]
    public void Encode_MergeWhoseResultIsNoToken_FallsBackToBytes()
    {
        Tokenizer tokenizer = TestVocabularies.Bpe("gpt-2", []).Set("tokenizer.ggml.merges", ["q q"]).ToTokenizer();

        Assert.Equal("qq"u8.ToArray().Select(value => (int)value), tokenizer.Encode("qq"));
    }

    [Fact]
    public void Encode_UserDefinedToken_AlwaysMatchesAndLongestGoesFirst()
    {
        Tokenizer tokenizer = Make("gpt-2", ("<a>", Kind.UserDefined), ("<a><b>", Kind.UserDefined), ("b><c", Kind.UserDefined));

        Assert.Equal(['x', 262, 'y'], tokenizer.Encode("x<a>y"));
        Assert.Equal([263, '<', 'c', '>'], tokenizer.Encode("<a><b><c>"));

        // Where the longer one is absent, the next is taken even though an even shorter one begins earlier.
        Assert.Equal(['<', 264, '>'], tokenizer.Encode("<b><c>"));
    }

    [Fact]
    public void Encode_OverlappingAddedTokens_LongerWinsWhereverItStands()
    {
        Tokenizer tokenizer = Make("gpt-2", ("abc", Kind.UserDefined), ("bcde", Kind.UserDefined));

        Assert.Equal(['a', 263], tokenizer.Encode("abcde"));
        Assert.Equal([262, 'd', 'f'], tokenizer.Encode("abcdf"));
    }

    [Fact]
    public void Encode_RunOfUserDefinedSpaces_IsTiledFromTheLeft()
    {
        Tokenizer tokenizer = Make("gpt-2", ("  ", Kind.UserDefined), ("    ", Kind.UserDefined));

        Assert.Equal([263, 263, 262, ' '], tokenizer.Encode(new string(' ', 11)));
    }

    [Trait("Attack", "U1")]
    [Fact]
    public void Encode_ControlToken_OnlyInTrustedRanges()
    {
        Tokenizer tokenizer = Make("gpt-2", ("<|end|>", Kind.Control));
        const string Text = "a<|end|>b<|end|>";

        Assert.DoesNotContain(262, tokenizer.Encode(Text));
        Assert.Equal(['a', 262, 'b', 262], tokenizer.Encode(Text, [Range.All]));
        Assert.Equal(['a', 262, 'b', .. "<|end|>"u8.ToArray()], tokenizer.Encode(Text, [0..8]));

        // Ranges that touch count as one; a token that reaches out of its range does not count.
        Assert.Equal(['a', 262, 'b', .. "<|end|>"u8.ToArray()], tokenizer.Encode(Text, [4..8, 1..4]));
        Assert.DoesNotContain(262, tokenizer.Encode(Text, [2..8]));
    }

    [Fact]
    public void Encode_TextAcrossTrustedBorder_IsTokenisedJointly() => Assert.Equal([257], Make().Encode("low", [0..1]));

    [Trait("Attack", "U1")]
    [Fact]
    public void Encode_HarmonyTokens_ShowInOutputButNotFromUserText()
    {
        Tokenizer tokenizer = Make("gpt-4o", ("<|start|>", Kind.Control), ("<|message|>", Kind.Control));

        Assert.DoesNotContain(262, tokenizer.Encode("<|start|>"));
        Assert.Equal([262], tokenizer.Encode("<|start|>", [Range.All]));
        Assert.Equal("<|start|>", tokenizer.Decode([262]));
    }

    [Fact]
    public void Decode_ControlToken_ShowsOnlyWhenAsked()
    {
        Tokenizer tokenizer = Make("gpt-2", ("<|end|>", Kind.Control));

        Assert.True(tokenizer.IsControl(262));
        Assert.Equal("low", tokenizer.Decode([257, 262]));
        Assert.Equal("low<|end|>", tokenizer.Decode([257, 262], special: true));
        Assert.Throws<ArgumentOutOfRangeException>(() => tokenizer.Decode([263]));
    }

    [Fact]
    public void Decode_BrokenSequence_GivesReplacementCharacter() => Assert.Equal("a\uFFFDb", Make().Decode(['a', 0xC3, 'b']));

    [Fact]
    public void Bytes_TokenOutsideTheAlphabet_IsItsText() =>
        Assert.Equal(Encoding.UTF8.GetBytes("日本"), Make("gpt-2", ("日本", Kind.Normal)).Bytes(262).ToArray());

    [Fact]
    public void Encode_RawTextVocabulary_KeepsLineRunsAndNamesBytes()
    {
        // Gemma 4's form: plain text with visible spaces, bytes by name.
        Tokenizer tokenizer = TestVocabularies
            .Metadata("gemma4", ("▁", Kind.Normal, 0), ("a", Kind.Normal, 0), ("▁a", Kind.Normal, 0), ("\n", Kind.Normal, 0), ("\n\n", Kind.Normal, 0), ("<0xC3>", Kind.Byte, 0), ("<0xA9>", Kind.Byte, 0))
            .Set("tokenizer.ggml.merges", ["▁ a"])
            .ToTokenizer();

        Assert.Equal([2, 4, 1, 5, 6], tokenizer.Encode(" a\n\naé"));
        Assert.Equal(" a\n\naé", tokenizer.Decode([2, 4, 1, 5, 6]));
    }
}
