using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>The command line gives llama.cpp's greedy tokens, however many processes share the layers.</summary>
public sealed class ParityTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public async Task Run_Stories260KGreedy_EqualsTheReference(int nodes)
    {
        string model = Repository.Shared("models/stories260K.gguf");
        JsonArray cases = JsonNode.Parse(File.ReadAllText(Repository.Shared("models/reference.json")))!["models"]!["stories260K.gguf"]!.AsArray();
        Assert.Equal(4, cases.Count);
        foreach (JsonNode? reference in cases)
        {
            using LaminaProcess run = await LaminaProcess.RunAsync(s_limit, "run", model, "-p", reference!["prompt"]!.GetValue<string>(), "-n", "64", "--temp", "0", "--nodes", $"{nodes}", "--json");
            Assert.True(run.ExitCode == 0, run.Error);
            JsonNode result = JsonNode.Parse(run.Output)!;
            Assert.Equal(Ids(reference["greedy"]!), Ids(result["tokens"]!));
            Assert.Equal(nodes, result["stages"]!.AsArray().Count);
        }
    }

    private static int[] Ids(JsonNode array) => [.. array.AsArray().Select(id => id!.GetValue<int>())];
}
