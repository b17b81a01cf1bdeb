using System.Text;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Generations;

public class AnswerTextTests
{
    /// <summary>One token per byte; 256 is a control token.</summary>
    private sealed class ByteTokenizer : Tokenizer
    {
        public override int VocabularySize => 257;
        public override int? Bos => null;
        public override int? Eos => 256;
        public override bool AddBos => false;
        public override bool AddEos => false;
        public override IReadOnlySet<int> EndOfGeneration { get; } = new HashSet<int> { 256 };

        public override int[] Encode(string text, IReadOnlyList<Range>? trusted = null) => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)];

        public override bool IsControl(int id) => id == 256;

        public override ReadOnlySpan<byte> Bytes(int id, bool special = false) => id == 256 ? [] : new[] { (byte)id };

        public override string Decode(ReadOnlySpan<int> ids, bool special = false) => Encoding.UTF8.GetString([.. ids.ToArray().Where(id => id < 256).Select(id => (byte)id)]);
    }

    [Fact]
    public void Append_CharacterOfThreeTokens_ComesWhole()
    {
        var answer = new AnswerText(new ByteTokenizer(), []);
        string[] pieces = [.. "€!"u8.ToArray().Select(b => answer.Append(b, null, []).Text)];

        Assert.Equal(["", "", "€", "!"], pieces);
    }

    [Fact]
    public void LogProbs_OfHeldBackTokens_ComeWithTheirText()
    {
        var answer = new AnswerText(new ByteTokenizer(), ["ab"]);
        AnswerPiece first = answer.Append('a', -1, []);
        AnswerPiece second = answer.Append('c', -2, []);

        Assert.True(first.IsEmpty);
        Assert.Equal("ac", second.Text);
        Assert.Equal([('a', 0, 1), ('c', 1, 2)], second.Tokens.Select(token => ((char)token.Id, token.TextStart, token.TextEnd)));
    }

    [Fact]
    public void LogProbs_OfTheStopString_AreLeftOut()
    {
        var answer = new AnswerText(new ByteTokenizer(), ["bc"]);
        var tokens = new List<AnswerToken>();
        foreach (char c in "abcd")
        {
            tokens.AddRange(answer.Append(c, -1, []).Tokens);
        }

        tokens.AddRange(answer.Flush().Tokens);

        Assert.True(answer.Stopped);
        Assert.Equal(['a'], tokens.Select(token => (char)token.Id));
    }

    [Fact]
    public void Flush_IncompleteCharacter_BecomesReplacement()
    {
        var answer = new AnswerText(new ByteTokenizer(), []);
        AnswerPiece open = answer.Append(0xE2, -1, []);

        Assert.Equal("", open.Text);
        Assert.Single(open.Tokens);
        Assert.Equal("\uFFFD", answer.Flush().Text);
    }
}
