using System.Text.Json;
using Lamina.Compute.Grammar;
using Lamina.Compute.Tests.Fuzzing;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>Grammars that try to take the process down: refused with a reason, or bounded.</summary>
public sealed class HostileGrammarTests(ITestOutputHelper output)
{
    private const int Attempts = 5;

    /// <summary>Of the processor. Some take 50 on a quiet machine, and twice that with neighbours in its caches.</summary>
    private const double MostMilliseconds = 250;

    public static TheoryData<string, string> Sources => new()
    {
        { "gbnf", "root ::= " + new string('(', 100_000) },
        { "gbnf", "root ::= (((((\"a\"{999}){999}){999}){999}){999}) (\"b\"{1,4999} \"c\"{1,4999}){4999} " + string.Concat(Enumerable.Repeat("[a-z]{0,4999} ", 60)) },
        { "gbnf", "root ::= " + string.Concat(Enumerable.Repeat("\"a\" | ", 40_000)) + "\"a\"" },
        { "gbnf", "root ::= a0\n" + string.Concat(Enumerable.Range(0, 9_000).Select(i => $"a{i} ::= a{i + 1} \"x\"\n")) + "a9000 ::= a0 \"y\"" },
        { "gbnf", "root ::= " + string.Concat(Enumerable.Range(0, 60_000).Select(i => $"x{i} ")) },
        { "regex", "^" + string.Concat(Enumerable.Repeat("(){5000}", 8)) + "a$" },
        { "regex", string.Concat(Enumerable.Range(0, 20_000).Select(i => $"({(char)('a' + (i % 26))}?)")) },
        { "regex", "(a+)+$" + new string('(', 10_000) },
        { "regex", string.Concat(Enumerable.Repeat("(", 1000)) + "a" + string.Concat(Enumerable.Repeat("{0,5000})", 1000)) },
        { "regex", string.Concat(Enumerable.Repeat("[a-z]{5000}", 1000)) },
        { "schema", string.Concat(Enumerable.Repeat("{\"items\":", 60)) + "{\"type\":\"array\",\"minItems\":99999}" + new string('}', 60) },
        { "schema", "{\"type\":\"object\",\"properties\":{" + string.Join(",", Enumerable.Range(0, 9000).Select(i => $"\"p{i}\":{{\"type\":\"string\",\"maxLength\":4000}}")) + "}}" },
        { "schema", "{\"type\":\"string\",\"pattern\":\"^(a|b|ab){0,5000}c$\",\"maxLength\":4999}" },
        { "schema", "{\"type\":\"string\",\"pattern\":\"^(.*a.{9}b|.*c.{11}d)$\",\"maxLength\":4000}" },
        { "schema", "{\"type\":\"string\",\"pattern\":\"(x+x+)+y(a|aa|b.{12})*\",\"minLength\":3000}" },
        { "schema", "{\"type\":\"object\",\"properties\":{" + string.Join(",", Enumerable.Range(0, 900).Select(i => $"\"p{i}\":{{\"type\":\"string\",\"pattern\":\"^(a|ab.{{8}}){{1,9}}$\",\"maxLength\":200}}")) + "}}" },
        { "schema", "{\"type\":\"object\",\"patternProperties\":{" + string.Join(",", Enumerable.Range(0, 60).Select(i => $"\"a.{{{i}}}b\":{{\"minimum\":{i}}}")) + "}}" },
        { "schema", "{\"type\":\"object\",\"patternProperties\":{" + string.Join(",", Enumerable.Range(0, 3000).Select(i => $"\"^{i}\":{{}}")) + "},\"properties\":{" + string.Join(",", Enumerable.Range(0, 3000).Select(i => $"\"{i}\":{{}}")) + "}}" },
        { "schema", "{\"$ref\":\"#/$defs/a0\",\"$defs\":{" + string.Join(",", Enumerable.Range(0, 60).Select(i => $"\"a{i}\":{{\"allOf\":[{{\"$ref\":\"#/$defs/a{i + 1}\"}},{{\"$ref\":\"#/$defs/a{i + 1}\",\"type\":\"object\"}}]}}")) + ",\"a60\":{}}}" },
        { "schema", "{\"oneOf\":[" + string.Join(",", Enumerable.Range(0, 4000).Select(i => $"{{\"const\":{i}}}")) + "]}" },
        { "schema", "{\"allOf\":[" + string.Join(",", Enumerable.Range(0, 250).Select(i => "{\"anyOf\":[{\"minimum\":1},{\"maximum\":5}]}")) + "]}" },
        { "schema", "{\"enum\":[" + string.Join(",", Enumerable.Range(0, 50_000)) + "]}" },
    };

    [Trait("Attack", "C4")]
    [Trait("Attack", "C6")]
    [Theory]
    [MemberData(nameof(Sources), DisableDiscoveryEnumeration = true)]
    public void Grammar_Hostile_IsRefusedSoon(string kind, string source)
    {
        // The first attempt compiles code on the way.
        double best = double.MaxValue;
        string message = "";
        for (int attempt = 0; attempt < Attempts && best > MostMilliseconds; attempt++)
        {
            TimeSpan start = ThreadTime.Now;
            message = Assert.Throws<GrammarException>(() => kind switch
            {
                "gbnf" => CompiledGrammar.FromGbnf(source),
                "regex" => CompiledGrammar.FromRegex(source),
                _ => CompiledGrammar.FromJsonSchema(JsonDocument.Parse(source).RootElement),
            }).Message;
            best = Math.Min(best, (ThreadTime.Now - start).TotalMilliseconds);
        }

        output.WriteLine($"{best:f0} ms: {message}");
        Assert.InRange(best, 0, MostMilliseconds);
    }

    [Trait("Attack", "C4")]
    [Fact]
    public void Schema_HalfASurrogatePair_IsRefused() => Assert.Contains(
        "surrogate", Assert.Throws<GrammarException>(() => new GrammarSource(GrammarKind.JsonSchema, "{\"const\":\"\udeeb\"}").Compile()).Message);

    [Fact]
    public void Grammar_DeepNestingInText_StopsAtTheBound()
    {
        CompiledGrammar grammar = CompiledGrammar.FromGbnf("root ::= \"[\" root \"]\" | \"\"");
        Assert.True(Matching.Accepts(grammar, new string('[', 200) + new string(']', 200)));
        Assert.False(Matching.Accepts(grammar, new string('[', 400) + new string(']', 400)));
    }

    [Trait("Attack", "C5")]
    [Fact]
    public void Grammar_ManyStates_AreForgottenAndFoundAgain()
    {
        TokenConstraint constraint = new(CompiledGrammar.FromRegex("([a-z]{5000}){10}"), new LetterTokenizer("abc", "zz"));
        float[] logits = new float[259];
        for (int i = 0; i < 50_000; i++)
        {
            Assert.False(constraint.IsComplete);
            constraint.Accept('b' + i % 20);
            if (i % 500 == 0)
            {
                constraint.ApplyMask(logits);
            }
        }

        Assert.True(constraint.IsComplete);
        Assert.False(constraint.CanContinue);
    }

    [Trait("Attack", "C4")]
    [Fact]
    public void Gbnf_RandomMutations_EndInGrammarOrTypedError()
    {
        const string Source = "root ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\"\npair ::= [a-z]{1,8} \":\" [^\\x00-\\x1F]+ # note\nws ::= [ \\t]* | \"\\n\"";
        Random random = new(3);
        for (int i = 0; i < 2000; i++)
        {
            char[] mutated = Source.ToCharArray();
            for (int edits = random.Next(1, 5); edits > 0; edits--)
            {
                mutated[random.Next(mutated.Length)] = Source[random.Next(Source.Length)];
            }

            try
            {
                Matching.Accepts(CompiledGrammar.FromGbnf(new string(mutated)), "{ab:x}");
            }
            catch (GrammarException)
            {
            }
        }
    }
}
