using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>Many streams at once give what each gives alone, and leave nothing behind.</summary>
public sealed class LoadTests(ServedModel served, ITestOutputHelper output) : IClassFixture<ServedModel>
{
    private const int Streams = 32;

    [Fact]
    public async Task Serve_ThirtyTwoConcurrentStreams_EachEqualsItsAnswerAlone()
    {
        string[] questions = [.. Enumerable.Range(0, Streams).Select(i => i % 3 == 0
            ? $"Tell me a story about a {(i % 2 == 0 ? "red fox" : "blue bird")} in the {(i % 4 == 0 ? "forest" : "garden")}."
            : $"What is {i + 10} + {2 * i}?")];
        List<string> alone = [];
        foreach (string question in questions)
        {
            alone.Add(await served.Http.StreamAsync(ChatApi.Chat(ChatApi.User(question))));
        }

        int[] processes = [served.Process.Id, .. ProcessTable.Children(served.Process.Id)];
        await Together(questions);
        long before = Resident(processes);
        for (int round = 0; round < 3; round++)
        {
            Assert.Equal(alone, await Together(questions));
        }

        long after = Resident(processes);
        output.WriteLine($"resident memory of {processes.Length} processes: {before >> 20} MiB before, {after >> 20} MiB after three rounds of {Streams} streams");
        Assert.True(after - before < 64L << 20, $"memory grew by {(after - before) >> 20} MiB");
    }

    [Fact]
    public async Task Stream_ClientGoesAway_GenerationEndsAndBlocksReturn()
    {
        using CancellationTokenSource gone = new();
        JsonObject body = ChatApi.Chat(ChatApi.User("Tell me a story about a red fox in the forest."), maxTokens: 400);
        body["stream"] = true;
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = System.Net.Http.Json.JsonContent.Create(body) };
        using (HttpResponseMessage response = await served.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead))
        await using (Stream stream = await response.Content.ReadAsStreamAsync())
        {
            Assert.True(await stream.ReadAsync(new byte[16]) > 0);
        }

        await Eventually.TrueAsync(async () => await Metric("lamina_generations_running") == 0, TimeSpan.FromSeconds(60), "the generation is still running");
    }

    private async Task<string[]> Together(string[] questions) =>
        await Task.WhenAll(questions.Select(question => served.Http.StreamAsync(ChatApi.Chat(ChatApi.User(question)))));

    private async Task<double> Metric(string name)
    {
        string text = await served.Http.GetStringAsync("metrics");
        return text.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static long Resident(int[] processes) => processes.Sum(ProcessTable.ResidentBytes);
}
