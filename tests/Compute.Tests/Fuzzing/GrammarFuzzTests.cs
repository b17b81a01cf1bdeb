using System.Text.Json;
using Lamina.Compute.Grammar;
using Lamina.Compute.Tests.Grammar;

namespace Lamina.Compute.Tests.Fuzzing;

/// <summary>Mutated grammars: each is refused with a reason, or masks tokens within its bounds, and never leaves an answer without a way on.</summary>
public sealed class GrammarFuzzTests(ITestOutputHelper output)
{
    private const int TokensTried = 40;
    private static readonly LetterTokenizer Tokenizer = new("ab", "abc", "{\"", "\":", "\",", "null", "true", "10", "0.", "  ", "é", "aaaa", "]}");

    private static readonly string[] GbnfWords =
    [
        "root", " ::= ", "\n", "|", "(", ")", "*", "+", "?", "{2}", "{0,3}", "{4999}", "{,5}", "[a-z]", "[^\\x00-\\x1F\\\"]", "[\\U0001F600-\\U0001F64F]", "\"\\u0041\"", "\"abc\"", ".", "#c\n", "ws", "x", "root root", "root?", "(root | \"\")*", "\"\"", "[]", "[^]", "\\",
    ];

    private static readonly string[] SchemaWords =
    [
        "\"type\":", "\"object\"", "\"array\"", "\"string\"", "\"integer\"", "\"number\"", "[\"string\",\"null\"]", "\"properties\":{\"a\":{}}", "\"required\":[\"a\"]", "\"additionalProperties\":false", "\"additionalProperties\":{}", "\"items\":{}",
        "\"minItems\":3", "\"maxItems\":0", "\"uniqueItems\":true", "\"enum\":[1,1.0,\"\\u0000\"]", "\"const\":null", "\"anyOf\":[{}]", "\"oneOf\":[true,false]", "\"allOf\":[{},{\"type\":\"object\"}]", "\"$ref\":\"#\"", "\"$ref\":\"#/$defs/x\"", "\"$defs\":{\"x\":{}}",
        "\"pattern\":\"^(a+)+$\"", "\"pattern\":\"\\\\d{3,}|[^x]*?\\\\b\"", "\"format\":\"date-time\"", "\"minLength\":5000", "\"minimum\":-1e300", "\"exclusiveMaximum\":0.1", "\"multipleOf\":0.01", "\"multipleOf\":7", "\"patternProperties\":{\"^x\":{}}",
        "\"propertyNames\":{}", "\"minProperties\":2", "\"not\":{}", "\"nullable\":true", "\"prefixItems\":[{}]", "{", "}", "[", "]", ",", ":", "true", "null", "1e999", "\"\\ud800\"",
    ];

    private static readonly string[] RegexWords =
        ["a", ".", "*", "+?", "{2,5}", "{5000}", "|", "(", "(?:", "(?=", "(?i)", "(?<n>", ")", "[a-z]", "[^\\s\\S]", "\\d", "\\W", "\\b", "\\p{L}", "\\x41", "\\u{1F600}", "\\1", "^", "$", "[", "]", "[]-]", "\\", "é", "😀"];

    [Trait("Attack", "C4")]
    [Fact]
    public void Gbnf_Mutated_IsRefusedOrFollowed() => Run("gbnf", GrammarKind.Gbnf, 800, GbnfWords,
    [
        "root ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\"\npair ::= [a-z]{1,8} \":\" [^\\x00-\\x1F]+ # note\nws ::= [ \\t]* | \"\\n\"",
        "root ::= expr\nexpr ::= term ([-+*/] term)*\nterm ::= \"(\" expr \")\" | [0-9]+ (\".\" [0-9]{1,4})? | \"x\"",
        "root ::= item{3,5} | (\"a\" | \"ab\" | [é-ü])+ .?\nitem ::= \"- \" [^\\n]+ \"\\n\"",
    ]);

    [Trait("Attack", "C4")]
    [Fact]
    public void Schema_Mutated_IsRefusedOrFollowed() => Run("schema", GrammarKind.JsonSchema, 800, SchemaWords,
    [
        """{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b",null]},"minItems":1,"maxItems":3}},"required":["name","tags"],"additionalProperties":false}""",
        """{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"number","minimum":-2,"maximum":10},"next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}}}""",
        """{"type":"object","properties":{"d":{"type":"string","format":"date"},"p":{"type":"string","pattern":"^[a-z]{2,4}-[0-9]+$"},"o":{"oneOf":[{"type":"integer"},{"type":"boolean"}]}},"additionalProperties":{"type":"boolean"}}""",
    ]);

    [Trait("Attack", "C6")]
    [Fact]
    public void Regex_Mutated_IsRefusedOrFollowed() => Run("regex", GrammarKind.Regex, 800, RegexWords, ["^(a+)+$", "([a-z]{2,4}|\\d+)(-[^x]*?)?[^\\s]", "(?:x|y)*?z{3}\\.[\\w\\-]+", "\\u00e9[😀-😎]{1,3}"]);

    private void Run(string name, GrammarKind kind, int iterations, string[] words, string[] seeds)
    {
        // An input is compiled and then asked for forty masks, each within a bound of its own.
        var run = new FuzzRun(name, longest: 2);
        var fuzzer = new TextFuzzer(seeds, words);
        fuzzer.Run(run, iterations, source =>
        {
            try
            {
                return Follow(new GrammarSource(kind, source).Compile(), kind, source.Length);
            }
            catch (GrammarException exception)
            {
                return exception.Message;
            }
        });
        output.WriteLine($"{run}, corpus {fuzzer.CorpusSize}");
    }

    /// <summary>Takes some allowed tokens; where the grammar is JSON and complete, what was taken must parse.</summary>
    private static string Follow(CompiledGrammar grammar, GrammarKind kind, int seed)
    {
        var random = new Random(seed);
        var constraint = new TokenConstraint(grammar, Tokenizer);
        var taken = new List<int>();
        float[] logits = new float[Tokenizer.VocabularySize];
        for (int i = 0; i < TokensTried; i++)
        {
            Array.Clear(logits);
            constraint.ApplyMask(logits);
            int[] allowed = [.. Enumerable.Range(0, logits.Length).Where(id => logits[id] == 0)];
            Assert.NotEmpty(allowed);
            int next = allowed[random.Next(allowed.Length)];
            if (next == Tokenizer.Eos)
            {
                Assert.True(constraint.IsComplete);
                break;
            }

            constraint.Accept(next);
            taken.Add(next);
        }

        if (kind == GrammarKind.JsonSchema && constraint.IsComplete)
        {
            using JsonDocument document = JsonDocument.Parse(Tokenizer.Decode([.. taken]), new JsonDocumentOptions { MaxDepth = 512 });
        }

        return $"followed {int.Log2(taken.Count + 1):x} {constraint.IsComplete} {constraint.CanContinue}";
    }
}
