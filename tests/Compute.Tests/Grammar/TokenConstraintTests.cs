using Lamina.Compute.Grammar;

namespace Lamina.Compute.Tests.Grammar;

public sealed class TokenConstraintTests
{
    private static readonly LetterTokenizer Tokenizer = new("ab", "abc", "b", "é", "true", "rue", "ab");

    [Fact]
    public void ApplyMask_TokensOfSeveralBytes_AllowsThoseThatFitWhole()
    {
        TokenConstraint constraint = new(CompiledGrammar.FromGbnf("root ::= \"abx\" | \"tr\" \"ue\" | \"é\""), Tokenizer);
        Assert.Equal(['a', 't', 0xC3, 256, 259, 260, 262], Allowed(constraint));
        constraint.Accept('t');
        Assert.Equal(['r', 261], Allowed(constraint));
        constraint.Accept(261);
        Assert.Equal([Tokenizer.Eos!.Value], Allowed(constraint));
        Assert.True(constraint.IsComplete);
        Assert.False(constraint.CanContinue);
    }

    [Fact]
    public void Follow_OtherHistory_GivesTheStateOfThatHistory()
    {
        TokenConstraint constraint = new(CompiledGrammar.FromGbnf("root ::= \"abx\" | \"ay\""), Tokenizer);
        constraint.Follow([256]);
        Assert.Equal(['x'], Allowed(constraint));
        constraint.Follow(['a']);
        Assert.Equal(['b', 'y', 258], Allowed(constraint));
        constraint.Follow(['a', 'b', 'x']);
        Assert.True(constraint.IsComplete);
        Assert.Throws<InvalidDataException>(() => constraint.Follow(['a', 'q']));
    }

    private static int[] Allowed(TokenConstraint constraint)
    {
        float[] logits = new float[Tokenizer.VocabularySize];
        constraint.ApplyMask(logits);
        return [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
    }
}
