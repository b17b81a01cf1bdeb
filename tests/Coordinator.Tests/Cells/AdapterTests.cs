using System.Text.Json;
using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A made-up model over two nodes with two adapters, one of them for a key that nobody has here.</summary>
public sealed class AdaptedCell : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-adapted-").FullName;

    internal TestCell Cell { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        string model = Path.Combine(_folder, "model.gguf"), strong = Path.Combine(_folder, "strong.gguf"), other = Path.Combine(_folder, "other.gguf");
        var options = new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0);
        ModelSynthesizer.Write(model, options);
        using (GgufFile file = GgufFile.Open(model))
        {
            AdapterSynthesizer.Write(strong, file, new AdapterSynthesisOptions(Strength: 1, Seed: 2), name => name.Contains("attn_", StringComparison.Ordinal));
            AdapterSynthesizer.Write(other, file, new AdapterSynthesisOptions(Rank: 4, Alpha: 0, Seed: 3), name => name.StartsWith("blk.3", StringComparison.Ordinal) || name == "token_embd.weight");
        }

        Cell = await TestCell.StartAsync(
            new ModelOptions
            {
                Name = "adapted", Path = model, Nodes = 2, ContextLength = 256,
                Adapters = [new AdapterOptions { Name = "strong", Path = strong }, new AdapterOptions { Name = "other", Path = other }, new AdapterOptions { Name = "private", Path = other, Keys = ["somebody"] }],
            },
            "node-1", "node-2");
        await Cell.ReadyAsync("adapted");
    }

    public async ValueTask DisposeAsync()
    {
        await Cell.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

public class AdapterTests(AdaptedCell shared) : IClassFixture<AdaptedCell>
{
    private readonly TestCell _cell = shared.Cell;

    [Fact]
    public async Task Completions_WithDifferentAdaptersAtOnce_AreThoseAlone()
    {
        string[] choices = ["", "\"lora\":[{\"name\":\"strong\"}],", "\"lora\":[{\"name\":\"other\",\"scale\":0.5}],", "\"lora\":[{\"name\":\"strong\",\"scale\":0.5},{\"name\":\"other\"}],"];
        var alone = new List<string>();
        foreach (string choice in choices)
        {
            alone.Add(await CompleteAsync(choice));
        }

        Assert.Equal(choices.Length, alone.Distinct().Count());

        // All begin alike: whoever took another's keys and values would go on as the other does.
        string[] together = await Task.WhenAll(choices.Concat(choices).Select(CompleteAsync));
        Assert.Equal([.. alone, .. alone], together);
        Assert.Equal(alone[1], await CompleteAsync("\"lora\":[{\"id\":0,\"scale\":1}],"));
        Assert.Equal(alone[0], await CompleteAsync("\"lora\":[{\"id\":0,\"scale\":0}],"));
    }

    [Theory]
    [InlineData("[{\"name\":\"absent\"}]", "lora[0].name")]
    [InlineData("[{\"name\":\"strong\"},{\"name\":\"private\"}]", "lora[1].name")]
    [InlineData("[{\"id\":3}]", "lora[0].id")]
    [InlineData("[{\"name\":\"strong\"},{\"id\":0}]", "lora[1].id")]
    [InlineData("[{\"scale\":1}]", "lora[0]")]
    [InlineData("[{\"name\":\"strong\",\"scale\":1e9}]", "lora[0].scale")]
    [InlineData("[{\"name\":\"strong\",\"weight\":1}]", "lora[0].weight")]
    [InlineData("{}", "lora")]
    public async Task Adapter_ThatCannotBeUsed_IsRefusedByName(string lora, string param)
    {
        using HttpResponseMessage response = await _cell.Coordinator.PostAsync("/v1/completions", $$"""{"model":"adapted","prompt":"a","lora":{{lora}}}""");
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());

        Assert.Equal((400, param), ((int)response.StatusCode, json.RootElement.GetProperty("error").GetProperty("param").GetString()));
    }

    private async Task<string> CompleteAsync(string fields)
    {
        string prompt = string.Concat(Enumerable.Repeat("the same beginning ", 6));
        JsonElement answer = await _cell.PostAsync("/v1/completions", $$"""{"model":"adapted","temperature":0,"max_tokens":24,{{fields}}"prompt":"{{prompt}}"}""");
        return answer.GetProperty("choices")[0].GetProperty("text").GetString()!;
    }
}
