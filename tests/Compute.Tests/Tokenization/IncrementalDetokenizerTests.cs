using System.Text;
using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Tests.Tokenization;

public sealed class IncrementalDetokenizerTests
{
    private static IncrementalDetokenizer Make() => new(TestVocabularies.Bpe("gpt-2", ["Ġ a"], ("<|end|>", Kind.Control)).ToTokenizer());

    [Fact]
    public void Append_BytesOfOneCharacter_ComeTogether()
    {
        IncrementalDetokenizer detokenizer = Make();

        // U+1F600 is F0 9F 98 80.
        Assert.Equal(["", "", "", "😀", "a", ""], [detokenizer.Append(0xF0), detokenizer.Append(0x9F), detokenizer.Append(0x98), detokenizer.Append(0x80), detokenizer.Append('a'), detokenizer.Flush()]);
    }

    [Fact]
    public void Append_InvalidBytes_BecomeReplacementCharacters()
    {
        IncrementalDetokenizer detokenizer = Make();

        Assert.Equal(["", "\uFFFDa", "\uFFFD", "\uFFFD"], [detokenizer.Append(0xC3), detokenizer.Append('a'), detokenizer.Append(0xFF), detokenizer.Append(0x80)]);
    }

    [Fact]
    public void Flush_OpenSequence_IsOneReplacementCharacter()
    {
        IncrementalDetokenizer detokenizer = Make();
        detokenizer.Append(0xF0);
        detokenizer.Append(0x9F);

        Assert.Equal("\uFFFD", detokenizer.Flush());
        Assert.Equal("", detokenizer.Flush());
        Assert.Equal("a", detokenizer.Append('a'));
    }

    [Fact]
    public void Append_ControlToken_ShowsNothingAndKeepsTheSequenceOpen()
    {
        IncrementalDetokenizer detokenizer = Make();

        Assert.Equal(["", "", "é"], [detokenizer.Append(0xC3), detokenizer.Append(257), detokenizer.Append(0xA9)]);
    }

    [Fact]
    public void Append_FirstTokensSpace_IsKept() => Assert.Equal(" a", Make().Append(256));

    [Fact]
    public void Append_AllTokensOfAText_GiveTheText()
    {
        Tokenizer tokenizer = TestVocabularies.BuiltInModel();
        var random = new RandomText(seed: 11);
        for (int i = 0; i < 300; i++)
        {
            string text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(random.Next([])));
            var detokenizer = new IncrementalDetokenizer(tokenizer);
            string streamed = string.Concat(tokenizer.Encode(text).Select(detokenizer.Append)) + detokenizer.Flush();

            Assert.Equal(text, streamed);
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        }
    }
}
