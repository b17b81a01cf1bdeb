using Lamina.Compute.Grammar;

namespace Lamina.Compute.Tests.Grammar;

public sealed class GbnfTests
{
    [Theory]
    [InlineData("root ::= \"a\" \"b\"*", new[] { "a", "ab", "abbb" }, new[] { "", "b", "abc" })]
    [InlineData("root ::= [0-9]{2,3}", new[] { "12", "123" }, new[] { "1", "1234", "1a" })]
    [InlineData("root ::= [^a-c]+", new[] { "d", "é😀" }, new[] { "", "a", "da" })]
    [InlineData("root ::= \"x\" | y\ny ::= \"y\"? \"z\" # comment", new[] { "x", "yz", "z" }, new[] { "y", "xz" })]
    [InlineData("root ::= (\n \"a\" |\n \"b\" )+ \"\\n\\x41\\u00e9\"", new[] { "ab\nAé" }, new[] { "\nAé", "ab" })]
    [InlineData("root ::= [é-ü] [\\]\\\\\\-a] .", new[] { "é]x", "ü\\😀", "ê-\n" }, new[] { "e]x", "ébx" })]
    [InlineData("root ::= \"(\" root \")\" | \"\"", new[] { "", "()", "((()))" }, new[] { "(", "())" })]
    [InlineData("root ::= (\"a\"? \"\")* \"b\"", new[] { "b", "aab" }, new[] { "", "ba" })]
    [InlineData("root ::= x{3} y{0} z{1,}\nx ::= \"x\"\ny ::= \"y\"\nz ::= \"z\"", new[] { "xxxz", "xxxzz" }, new[] { "xxx", "xxz", "xxxyz" })]
    [InlineData("root ::= [඀-෿]+", new[] { "ක" }, new[] { "k", "က" })]
    public void Gbnf_Texts_MatchOrNot(string grammar, string[] accepted, string[] rejected)
    {
        CompiledGrammar compiled = CompiledGrammar.FromGbnf(grammar);
        Assert.All(accepted, text => Assert.True(Matching.Accepts(compiled, text), text));
        Assert.All(rejected, text => Assert.False(Matching.Accepts(compiled, text), text));
    }

    [Theory]
    [InlineData("", "no rule 'root'")]
    [InlineData("root ::= x", "'x' is used but not defined")]
    [InlineData("root ::= root \"a\" | \"b\"", "left-recursive")]
    [InlineData("root ::= a\na ::= \"\" b\nb ::= \"x\"? root \"y\" | \"z\"", "left-recursive")]
    [InlineData("root ::= \"a", "unexpected end")]
    [InlineData("root ::= [z-a]", "backwards")]
    [InlineData("root = \"a\"", "expected '::='")]
    [InlineData("root ::= \"a\" )", "unexpected ')'")]
    [InlineData("root ::= \"a\"{99999}", "repetition")]
    [InlineData("root ::= \"\\q\"", "unknown escape")]
    [InlineData("a ::= \"a\"\na ::= \"b\"\nroot ::= a", "defined twice")]
    [InlineData("root ::= []", "matches nothing")]
    public void Gbnf_Malformed_IsRefusedInOneSentence(string grammar, string expected) =>
        Assert.Contains(expected, Assert.Throws<GrammarException>(() => CompiledGrammar.FromGbnf(grammar)).Message);

    [Fact]
    public void Gbnf_JsonGrammar_AcceptsWhatJsonIs()
    {
        CompiledGrammar json = CompiledGrammar.FromGbnf("""
            root   ::= object
            value  ::= object | array | string | number | ("true" | "false" | "null") ws
            object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
            array  ::= "[" ws ( value ("," ws value)* )? "]" ws
            string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
            number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
            ws ::= | " " | "\n" [ \t]{0,20}
            """);
        Assert.True(Matching.Accepts(json, "{\"a\": [1, -2.5e3, \"x\\n\\u00e9é😀\", null], \"b\":{}}"));
        Assert.False(Matching.Accepts(json, "{\"a\": [1,]}"));
        Assert.False(Matching.Accepts(json, "[1]"));
        Assert.False(Matching.Accepts(json, "{\"a\": \"\u0001\"}"));
    }
}
