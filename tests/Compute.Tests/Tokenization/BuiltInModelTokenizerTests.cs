using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>The built-in model's vocabulary against ids that llama.cpp gave.</summary>
public sealed class BuiltInModelTokenizerTests
{
    [Theory]
    [InlineData("What is 27 + 15?", false, new[] { 302, 281, 35, 53, 58, 352, 35, 52, 56, 66 })]
    [InlineData("<|im_start|>user\nHello<|im_end|>\n", true, new[] { 1, 271, 13, 513, 2, 13 })]
    [InlineData("<|im_start|>user\nHello<|im_end|>\n", false, new[] { 63, 127, 698, 98, 301, 299, 119, 127, 65, 271, 13, 513, 63, 127, 698, 98, 526, 127, 65, 13 })]
    [InlineData("naïve café — 北京 😀", false, new[] { 113, 100, 198, 178, 335, 276, 898, 198, 172, 35, 229, 131, 151, 35, 232, 143, 154, 231, 189, 175, 35, 243, 162, 155, 131 })]
    [InlineData("  two\n\n\n lines\t!", false, new[] { 35, 263, 122, 114, 13, 13, 13, 286, 840, 12, 36 })]
    public void Encode_Text_GivesReferenceIds(string text, bool trusted, int[] expected) =>
        Assert.Equal(expected, TestVocabularies.BuiltInModel().Encode(text, trusted ? [Range.All] : null));

    [Fact]
    public void SpecialTokens_AreThoseOfItsCard()
    {
        Tokenizer tokenizer = TestVocabularies.BuiltInModel();

        Assert.False(tokenizer.AddBos);
        Assert.Contains(2, tokenizer.EndOfGeneration);
        Assert.Equal("<|im_end|>", tokenizer.Decode([2], special: true));
    }
}
