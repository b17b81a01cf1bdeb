using System.Globalization;
using Lamina.Compute.Gguf;
using Lamina.Compute.Grammar;
using Lamina.Compute.Tokenization;

namespace Lamina.Kernels.Bench;

/// <summary>What a grammar costs a step: the mask over the vocabulary and the step of its automaton, in processor time of one thread.</summary>
internal static class GrammarCase
{
    private const int Steps = 400;

    private static readonly (string Name, GrammarKind Kind, string Text)[] Grammars =
    [
        ("any object", GrammarKind.JsonObject, ""),
        ("strict schema", GrammarKind.JsonSchema, """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"email":{"type":"string","format":"email"},"kind":{"enum":["cat","dog","bird"]},"tags":{"type":"array","items":{"type":"string"},"maxItems":20},"score":{"type":"number"}},"required":["name","age","email","kind","tags","score"],"additionalProperties":false}"""),
        ("bounded strings", GrammarKind.JsonSchema, """{"type":"array","items":{"type":"object","properties":{"title":{"type":"string","maxLength":80},"body":{"type":"string","minLength":20,"maxLength":400}},"required":["title","body"]}}"""),
        ("recursive schema", GrammarKind.JsonSchema, """{"$ref":"#/$defs/n","$defs":{"n":{"type":"object","properties":{"v":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/$defs/n"}}},"required":["v","children"]}}}"""),
        ("regex", GrammarKind.Regex, "([A-Z][a-z]{1,12} ){3,20}[a-z]+\\.( [A-Z][^.]{10,200}\\.){2,30}"),
        ("words in GBNF", GrammarKind.Gbnf, "root ::= (line \"\\n\")+\nline ::= \"- \" word (\" \" word){0,20}\nword ::= [a-zA-Zäöü]{1,20} | [0-9]{1,6} (\".\" [0-9]{1,2})?"),
    ];

    /// <param name="decodeMilliseconds">Of a step without grammar, or 0 where none was measured.</param>
    public static void Measure(string? vocabulary, double decodeMilliseconds)
    {
        Tokenizer tokenizer = vocabulary is null ? new MadeUpTokenizer() : Read(vocabulary);
        Console.WriteLine($"vocabulary of {tokenizer.VocabularySize}; milliseconds a step over {Steps} steps; share of a decode step of {decodeMilliseconds:F1} ms");
        Console.WriteLine($"{"",-18}{"compile",9}{"first",9}{"mean",9}{"median",9}{"p95",9}{"largest",9}{"share",9}");
        foreach ((string name, GrammarKind kind, string text) in Grammars)
        {
            Run(tokenizer, new GrammarSource(kind, text), new Random(1));
            CompiledGrammar? compiled = null;
            double compile = 1000 * ModelCase.Time(1, () => compiled = new GrammarSource(kind, text).Compile());
            double[] times = Run(tokenizer, new GrammarSource(kind, text), new Random(2));
            double first = times[0], mean = times.Average();
            Array.Sort(times);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-18}{compile,9:F2}{first,9:F2}{mean,9:F3}{times[times.Length / 2],9:F3}{times[times.Length * 95 / 100],9:F2}{times[^1],9:F2}{(decodeMilliseconds > 0 ? mean / decodeMilliseconds : 0),9:P1}"));
        }
    }

    private static Tokenizer Read(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        return Tokenizer.FromGguf(file.Metadata);
    }

    /// <summary>A model that prefers ordinary words: of eight allowed tokens drawn, the longest.</summary>
    private static double[] Run(Tokenizer tokenizer, GrammarSource source, Random random)
    {
        var times = new List<double>();
        var logits = new float[tokenizer.VocabularySize];
        var allowed = new List<int>();
        CompiledGrammar grammar = source.Compile();
        TokenConstraint constraint = new(grammar, tokenizer);
        int previous = -1;
        while (times.Count < Steps)
        {
            Array.Clear(logits);
            int take = previous;
            TokenConstraint current = constraint;
            times.Add(1000 * ModelCase.Time(1, () =>
            {
                if (take >= 0)
                {
                    current.Accept(take);
                }

                current.ApplyMask(logits);
            }));
            allowed.Clear();
            for (int id = 0; id < logits.Length; id++)
            {
                if (logits[id] == 0 && !tokenizer.EndOfGeneration.Contains(id))
                {
                    allowed.Add(id);
                }
            }

            if (allowed.Count == 0)
            {
                constraint = new TokenConstraint(grammar, tokenizer);
                previous = -1;
                continue;
            }

            previous = Enumerable.Range(0, 8).Select(_ => allowed[random.Next(allowed.Count)]).MaxBy(id => tokenizer.Bytes(id).Length);
        }

        return [.. times];
    }
}
