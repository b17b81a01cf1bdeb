using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>The built-in model's evaluation set through the whole product: HTTP, coordinator, three node processes.</summary>
public sealed class EvaluationTests(ServedModel served, ITestOutputHelper output) : IClassFixture<ServedModel>
{
    private const int RightAnswers = 405;
    private const int Prompts = 436;

    [Fact]
    public async Task BuiltInModel_EvaluationSetOverThreeNodes_AnswersAsTheReferenceDoes()
    {
        string[] lines = [.. File.ReadLines(Repository.File("models/lamina-tiny-eval.jsonl")).Where(line => line.Length > 0)];
        Assert.Equal(Prompts, lines.Length);
        int right = 0;
        await Parallel.ForEachAsync(lines, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (line, _) =>
        {
            JsonNode entry = JsonNode.Parse(line)!;
            string answer = await served.Http.AnswerAsync(ChatApi.Chat(entry["messages"]!.DeepClone(), maxTokens: 160));
            if (Regex.IsMatch(answer, entry["expect_regex"]!.GetValue<string>()))
            {
                Interlocked.Increment(ref right);
            }
        });
        output.WriteLine($"{right} of {Prompts} right");
        Assert.True(right >= RightAnswers, $"{right} of {Prompts} right, at least {RightAnswers} expected");
    }
}
