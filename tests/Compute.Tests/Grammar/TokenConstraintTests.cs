using Lamina.Compute.Grammar;
using Lamina.Compute.Sampling;

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

    [Fact]
    public void TokenSampler_Grammar_ChoosesTheBestAllowedAndReportsRawLogProbs()
    {
        SamplingParameters parameters = new() { Temperature = 0, LogProbs = true, Grammar = new GrammarSource(GrammarKind.Choices, "[\"yes\", \"no\"]") };
        TokenSampler sampler = new(parameters, Tokenizer.VocabularySize, Tokenizer, promptTokens: 2);
        List<int> history = [7, 8];
        foreach (int expected in new[] { 'y', 'e', 's', Tokenizer.Eos!.Value })
        {
            float[] logits = new float[Tokenizer.VocabularySize];
            logits['q'] = 3;
            logits['y'] = 2;
            TokenLogProb chosen = sampler.Sample(logits, [.. history], []);
            Assert.Equal(expected, chosen.Id);
            double total = Tokenizer.VocabularySize - 2 + Math.Exp(3) + Math.Exp(2);
            Assert.Equal((expected == 'y' ? 2 : 0) - Math.Log(total), chosen.LogProb, 1e-5);
            history.Add(expected);
        }
    }

    private static int[] Allowed(TokenConstraint constraint)
    {
        float[] logits = new float[Tokenizer.VocabularySize];
        constraint.ApplyMask(logits);
        return [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
    }
}
