using System.Text;
using System.Text.Json;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>The trained 260K-parameter model over several nodes, against recorded output of the reference implementation.</summary>
public class ReferenceTests
{
    [Fact]
    public async Task Completions_OverThreeNodes_EqualTheReference()
    {
        using JsonDocument reference = JsonDocument.Parse(await File.ReadAllTextAsync(Repository.Shared("models/reference.json")));
        await using TestCell cell = await TestCell.StartAsync(
            new ModelOptions { Name = "stories", Path = Repository.Shared("models/stories260K.gguf"), Nodes = 3 }, "node-1", "node-2", "node-3");
        await cell.ReadyAsync("stories");

        foreach (JsonElement sample in reference.RootElement.GetProperty("models").GetProperty("stories260K.gguf").EnumerateArray())
        {
            string prompt = JsonSerializer.Serialize(sample.GetProperty("prompt").GetString());
            JsonElement answer = await cell.PostAsync("/v1/completions", $$"""{"model":"stories","prompt":{{prompt}},"temperature":0,"max_tokens":64}""");
            int[] greedy = [.. sample.GetProperty("greedy").EnumerateArray().Select(token => token.GetInt32())];
            Tokenizer tokenizer = cell.Cell.FindModel("stories")!.Tokenizer;
            Assert.Equal(Encoding.UTF8.GetString([.. greedy.SelectMany(token => tokenizer.Bytes(token).ToArray())]), answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }
    }
}
