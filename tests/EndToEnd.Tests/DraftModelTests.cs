using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>A second, small model guesses ahead; what is answered stays the same.</summary>
public sealed class DraftModelTests
{
    private static readonly string s_model = Path.Combine(TestSupport.Repository.Root, "models", "lamina-tiny-q8_0.gguf");

    [Theory, InlineData(1), InlineData(2)]
    public async Task Run_WithADraftModel_AnswersAsWithout(int nodes)
    {
        string[] prompt = ["run", s_model, "-p", "Once upon a time", "-n", "60", "--temp", "0.8", "--seed", "5", "--json"];
        JsonNode plain = await TokensAsync(prompt);
        JsonNode guessed = await TokensAsync([.. prompt, "--draft", s_model, "--speculate", "5", "--nodes", $"{nodes}"]);
        Assert.True(plain.AsArray().Count > 10, plain.ToJsonString());
        Assert.Equal(plain.ToJsonString(), guessed.ToJsonString());
    }

    [Fact]
    public async Task Run_WithADraftModelOfAnotherVocabulary_IsRefusedInOneSentence()
    {
        string other = Path.Combine(Path.GetTempPath(), $"lamina-draft-{Guid.NewGuid():N}.gguf");
        try
        {
            using LaminaProcess synth = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(180), "synth", other, "--shape", "tiny", "--type", "Q8_0");
            Assert.Equal(0, synth.ExitCode);
            using LaminaProcess run = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(180), "run", s_model, "-p", "x", "--draft", other);
            Assert.Equal(1, run.ExitCode);
            Assert.Contains("its vocabulary is another", run.Error, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(other);
        }
    }

    private static async Task<JsonNode> TokensAsync(string[] arguments)
    {
        using LaminaProcess run = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(120), arguments);
        Assert.True(run.ExitCode == 0, run.Error);
        return JsonNode.Parse(run.Output)!["tokens"]!;
    }
}
