using Lamina.Compute.Grammar;

namespace Lamina.Compute.Tests.Grammar;

public sealed class RegexTests
{
    [Theory]
    [InlineData("[a-z]+@[a-z]+\\.(com|org)", new[] { "me@x.com" }, new[] { "me@x.net", "@x.com" })]
    [InlineData("^\\d{3}-\\d{4}$", new[] { "123-4567" }, new[] { "1234567", "123-45678" })]
    [InlineData("(a+)+b?", new[] { "a", "aaab" }, new[] { "b", "aabb" })]
    [InlineData("a|b|", new[] { "a", "b", "" }, new[] { "ab" })]
    [InlineData("(?:x|(?<n>y)){2,}?", new[] { "xx", "xyx" }, new[] { "x" })]
    [InlineData("[^\\d\\s]\\W\\.", new[] { "a-." }, new[] { "1-.", "a--", "ab." })]
    [InlineData("\\x41\\u00e9[\\]\\-x-z]", new[] { "Aé]", "Aé-", "Aéy" }, new[] { "Aéw" })]
    [InlineData("a{,2}", new[] { "a{,2}" }, new[] { "aa" })]
    public void Regex_WholeText_MatchesOrNot(string pattern, string[] accepted, string[] rejected)
    {
        CompiledGrammar compiled = CompiledGrammar.FromRegex(pattern);
        Assert.All(accepted, text => Assert.True(Matching.Accepts(compiled, text), text));
        Assert.All(rejected, text => Assert.False(Matching.Accepts(compiled, text), text));
    }

    [Trait("Attack", "C6")]
    [Theory]
    [InlineData("(?=a)b")]
    [InlineData("(a)\\1")]
    [InlineData("\\bword")]
    [InlineData("a**")]
    [InlineData("*a")]
    [InlineData("(a")]
    [InlineData("a)")]
    [InlineData("[a")]
    [InlineData("[b-a]")]
    [InlineData("a\\")]
    [InlineData("a{99999}")]
    [InlineData("x(^a)")]
    [InlineData("[^\\s\\S]")]
    public void Regex_NotRegular_IsRefused(string pattern) => Assert.Throws<GrammarException>(() => CompiledGrammar.FromRegex(pattern));

    [Fact]
    public void Choices_OneOf_MatchesExactly()
    {
        CompiledGrammar compiled = CompiledGrammar.FromChoices(["yes", "no", "not sure"]);
        Assert.True(Matching.Accepts(compiled, "no"));
        Assert.True(Matching.Accepts(compiled, "not sure"));
        Assert.False(Matching.Accepts(compiled, "not"));
        Assert.Throws<GrammarException>(() => CompiledGrammar.FromChoices([]));
    }

    [Fact]
    public void Regex_RandomTexts_MatchDotNet()
    {
        string[] patterns = ["(ab|a)(bc|c)?", "[a-c]{1,3}(x|yy)*", "((a|b)*c){0,2}", "a?b+[c-y]", "\\d+(\\.\\d+)?"];
        Random random = new(5);
        Assert.All(patterns, pattern =>
        {
            CompiledGrammar compiled = CompiledGrammar.FromRegex(pattern);
            System.Text.RegularExpressions.Regex reference = new($"^(?:{pattern})\\z");
            for (int i = 0; i < 300; i++)
            {
                string text = new([.. Enumerable.Range(0, random.Next(7)).Select(_ => "abcxy1."[random.Next(7)])]);
                Assert.True(reference.IsMatch(text) == Matching.Accepts(compiled, text), $"{pattern} on '{text}'");
            }

            for (int i = 0; i < 20; i++)
            {
                Assert.Matches(reference, Matching.Draw(compiled, random, 20));
            }
        });
    }
}
