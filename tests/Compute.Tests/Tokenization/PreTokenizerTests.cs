using System.Text;
using Lamina.Compute.Tokenization.PreTokenizing;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>Pieces worked out by hand from each rule's expression.</summary>
public sealed class PreTokenizerTests
{
    [Theory]
    [InlineData("gpt-2", "Hello world", "Hello| world")]
    [InlineData("gpt-2", "don't WE'LL", "don|'t| WE|'|LL")]
    [InlineData("gpt-2", "a   b", "a|  | b")]
    [InlineData("gpt-2", "a  ", "a|  ")]
    [InlineData("gpt-2", "x=\"12ab\"\n\ny", "x|=\"|12|ab|\"|\n|\n|y")]
    [InlineData("gpt-2", " 123 é\u0301", " 123| é|\u0301")]
    [InlineData("smollm", "a123 45", "a|1|2|3| |4|5")]
    [InlineData("llama-bpe", "don't WE'LL", "don|'t| WE|'LL")]
    [InlineData("llama-bpe", "12345 67", "123|45| |67")]
    [InlineData("llama-bpe", "(foo) =\n\n  bar", "(foo|)| =\n\n| | bar")]
    [InlineData("llama-bpe", " \n \n  x", " \n \n| | x")]
    [InlineData("llama-bpe", "\tx\u00A0y", "\tx|\u00A0y")]
    [InlineData("qwen2", "a1234", "a|1|2|3|4")]
    [InlineData("qwen2", "é\u0301x", "é|\u0301x")]
    [InlineData("qwen35", "é\u0301x \u0301", "é\u0301x| \u0301")]
    [InlineData("ufakzeka", "it's", "it|'s")]
    [InlineData("ufakzeka", "'s", "'s")]
    [InlineData("gpt-4o", "HTTPServer iPhone's", "HTTPServer| i|Phone's")]
    [InlineData("gpt-4o", "camelCase HTML", "camel|Case| HTML")]
    [InlineData("gpt-4o", "éAB Éa ABé", "é|AB| Éa| ABé")]
    [InlineData("gpt-4o", "a/b ://\n/x", "a|/b| ://\n/|x")]
    [InlineData("gpt-4o", "1234", "123|4")]
    [InlineData("tekken", "iPhone's 12", "i|Phone|'s| |1|2")]
    [InlineData("granite-embed-multi-97m", "a\u0301b", "a\u0301b")]
    [InlineData("tiny_aya", "1234567", "1|234|567")]
    [InlineData("tiny_aya", "x   1234", "x|  | |1|234")]
    [InlineData("deepseek-v3", "x=foo(12345)", "x|=foo|(|123|45|)")]
    [InlineData("deepseek-v3", "北京ab \u0001\u0001c", "北京|ab| |\u0001|\u0001c")]
    [InlineData("deepseek-llm", "a b12\n3", "a| b|12|\n|3")]
    [InlineData("deepseek-coder", "a 12, b", "a| |1|2|,| b")]
    [InlineData("falcon", "a+b 12345", "a|+|b| |123|45")]
    [InlineData("default", "a==12345", "a|==|123|45")]
    [InlineData("bloom", "Hello, world x", "Hello|,| world| x")]
    [InlineData("viking", " a12", " a|1|2")]
    [InlineData("youtu", "가나ab，ㄅ", "가나|ab|，|ㄅ")]
    [InlineData("gemma4", "a b\n\nc", "a b|\n\n|c")]
    public void Split_ByName_CutsAsItsExpressionDoes(string name, string text, string expected)
    {
        Assert.Equal(expected, string.Join('|', Split(name, text)));
    }

    [Fact]
    public void Find_UnknownName_IsNothing() => Assert.Null(PreTokenizers.Find("no-such-rule"));

    [Theory]
    [InlineData("gpt-2")]
    [InlineData("llama-bpe")]
    [InlineData("gpt-4o")]
    [InlineData("tiny_aya")]
    [InlineData("deepseek-llm")]
    [InlineData("deepseek-v3")]
    [InlineData("default")]
    public void Split_AnyText_LosesNothing(string name)
    {
        var random = new RandomText(seed: 7);
        for (int i = 0; i < 500; i++)
        {
            // Through UTF-8 first: what a lone surrogate becomes is the encoder's affair.
            string text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(random.Next([])));
            Assert.Equal(text, string.Concat(Split(name, text)));
        }
    }

    [Fact]
    public void CharClasses_AllCodePoints_AreThoseOfUnicode15()
    {
        // A runtime with newer tables must not change what models see; counts by class as published with Unicode 15.1, white space apart.
        var counts = new Dictionary<CharClass, int>();
        for (int codePoint = 0; codePoint < 0x110000; codePoint++)
        {
            counts[CharClasses.Of(codePoint)] = counts.GetValueOrDefault(CharClasses.Of(codePoint)) + 1;
        }

        Assert.Equal(136_726, counts[CharClass.Letter]);
        Assert.Equal(2_450, counts[CharClass.Mark]);
        Assert.Equal(1_831, counts[CharClass.Number]);
        Assert.Equal(842, counts[CharClass.Punctuation]);
        Assert.Equal(7_775, counts[CharClass.Symbol]);
        Assert.Equal(25, counts[CharClass.Whitespace]);
        Assert.Equal(824_718, counts[CharClass.Unassigned]);
    }

    private static List<string> Split(string name, string text)
    {
        var pieces = new Pieces([]);
        PreTokenizers.Find(name)!.PreTokenizer.Split(Encoding.UTF8.GetBytes(text), ref pieces);
        return pieces.Found;
    }

    private readonly record struct Pieces(List<string> Found) : IPieceSink
    {
        public void Piece(ReadOnlySpan<byte> text, int start, int end) => Found.Add(Encoding.UTF8.GetString(text[start..end]));
    }
}
