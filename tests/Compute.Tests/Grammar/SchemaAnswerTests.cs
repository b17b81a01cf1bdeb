using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Compute.Gguf;
using Lamina.Compute.Grammar;
using Lamina.Compute.Model;
using Lamina.Compute.Sampling;
using Lamina.Compute.Tests.Model;
using Lamina.Compute.Tokenization;
using Lamina.TestSupport;
using NJsonSchema.Validation;

namespace Lamina.Compute.Tests.Grammar;

/// <summary>
/// A model's answers under random schemas, judged by NJsonSchema. 25 schemas; LAMINA_SCHEMAS says how many instead (500 take minutes), LAMINA_SCHEMAS_OUT where to write
/// schemas and answers as lines of JSON, for other validators.
/// </summary>
public sealed class SchemaAnswerTests(ITestOutputHelper output)
{
    private const int MaxTokens = 1500;

    [Fact]
    public void Answers_UnderRandomSchemasAtTemperatureOne_AllValidate()
    {
        int count = int.TryParse(Environment.GetEnvironmentVariable("LAMINA_SCHEMAS"), out int asked) ? asked : 25;
        string? path = Environment.GetEnvironmentVariable("LAMINA_SCHEMAS_OUT");
        using StreamWriter? lines = path is null ? null : new StreamWriter(path);
        using GgufFile file = GgufFile.Open(Repository.File("models/lamina-tiny-q8_0.gguf"));
        Tokenizer tokenizer = Tokenizer.FromGguf(file.Metadata);
        ModelShape shape = ModelShape.FromGguf(file.Metadata) with { ContextLength = 2048 };
        var failures = new List<string>();
        int tokens = 0, answered = 0, tooLarge = 0;
        var watch = Stopwatch.StartNew();
        for (int seed = 1; answered < count; seed++)
        {
            string schema = new RandomSchema(seed).Next().ToJsonString();
            var grammar = new GrammarSource(GrammarKind.JsonSchema, schema);
            if (Refusal(grammar) is { } reason)
            {
                // What contradicts itself may be drawn, and nothing else that is refused.
                if (reason.Contains("too large together"))
                {
                    tooLarge++;
                    continue;
                }

                Assert.True(reason.Contains("leave none") || reason.Contains("no ") || reason.Contains("have none in common"), $"{schema}: {reason}");
                continue;
            }

            answered++;
            string answer = Answer(file, shape, tokenizer, grammar, seed, ref tokens);
            lines?.WriteLine(JsonSerializer.Serialize(new { schema, answer }));
            if (Problem(schema, answer) is { } problem)
            {
                failures.Add($"seed {seed}: {problem}\n{schema}\n{answer}");
            }
        }

        Assert.InRange(tooLarge, 0, count / 20);
        output.WriteLine($"{count} schemas ({tooLarge} more were too large), {tokens} tokens, {watch.Elapsed.TotalSeconds:f1} s");
        Assert.True(failures.Count == 0, $"{failures.Count} of {count}\n" + string.Join("\n\n", failures.Take(10)));
    }

    private static string? Refusal(GrammarSource grammar)
    {
        try
        {
            grammar.Compile();
            return null;
        }
        catch (GrammarException exception)
        {
            return exception.Message;
        }
    }

    private static string Answer(GgufFile file, ModelShape shape, Tokenizer tokenizer, GrammarSource grammar, int seed, ref int tokens)
    {
        int[] prompt = Prompt.Build(tokenizer, "{\"name\": \"Ann\", \"age\": 5} Give the answer as JSON: ");
        using var sequence = new Sequence(file, shape, new StageOptions { ContextLength = 2048, KvBlocks = 64, MaxBatchRows = 64, MaxSequences = 1 });
        var sampler = new TokenSampler(new SamplingParameters { Temperature = 1, Seed = (ulong)seed, Grammar = grammar }, shape.VocabularySize, tokenizer, prompt.Length);
        var history = new List<int>(prompt);
        float[] logits = sequence.Feed(prompt).ToArray();
        while (history.Count - prompt.Length < MaxTokens)
        {
            int next = sampler.Sample(logits, [.. history], []).Id;
            tokens++;
            if (tokenizer.EndOfGeneration.Contains(next))
            {
                return tokenizer.Decode([.. history.Skip(prompt.Length)]);
            }

            history.Add(next);
            logits = sequence.Feed(next).ToArray();
        }

        return tokenizer.Decode([.. history.Skip(prompt.Length)]);
    }

    private static string? Problem(string schema, string answer)
    {
        try
        {
            using JsonDocument parsed = JsonDocument.Parse(answer);
        }
        catch (JsonException exception)
        {
            return exception.Message;
        }

        NJsonSchema.JsonSchema reference = NJsonSchema.JsonSchema.FromJsonAsync(schema).GetAwaiter().GetResult();
        ICollection<ValidationError> errors = reference.Validate(answer);
        return errors.Count == 0 ? null : string.Join("; ", errors.Select(error => $"{error.Kind} at {error.Path}"));
    }
}
