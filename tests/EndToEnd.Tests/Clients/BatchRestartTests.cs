using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>A batch whose coordinator is killed in the middle.</summary>
public sealed class BatchRestartTests(ITestOutputHelper output)
{
    private const int Requests = 60;

    [Fact]
    public async Task Batch_CoordinatorKilledInTheMiddle_EveryRequestIsAnsweredOnce()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 1, plannedNodes: 1);
        string content = BatchFile.Of(Enumerable.Range(10, Requests).Select(i => BatchFile.Line($"sum-{i}", "/v1/chat/completions", ChatApi.Chat(ChatApi.User($"What is {i} + 20?")))));
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StringContent(content), "file", "sums.jsonl" } };
        string input = (await (await cell.Http.PostAsync("v1/files", form)).Content.ReadFromJsonAsync<JsonNode>())!["id"]!.GetValue<string>();
        using HttpResponseMessage created = await cell.Http.PostAsJsonAsync("v1/batches", new { input_file_id = input, endpoint = "/v1/chat/completions", completion_window = "24h" });
        string id = (await created.Content.ReadFromJsonAsync<JsonNode>())!["id"]!.GetValue<string>();

        int before = Completed(await UntilAsync(cell, id, batch => Completed(batch) >= 20));
        await cell.RestartCoordinatorAsync();
        int after = Completed(await BatchAsync(cell, id));
        output.WriteLine($"killed after {before} answers, went on from {after}");
        Assert.True(after >= before, $"{before} answers were counted before the kill, {after} after it");
        Assert.True(before < Requests, "the batch was over before it was killed");

        JsonNode batch = await UntilAsync(cell, id, batch => batch["status"]!.GetValue<string>() == "completed");
        Assert.Equal($$"""{"total":{{Requests}},"completed":{{Requests}},"failed":0}""", batch["request_counts"]!.ToJsonString());
        Dictionary<string, JsonNode> answers = BatchFile.Read(await cell.Http.GetStringAsync($"v1/files/{batch["output_file_id"]}/content"));
        Assert.Equal(Requests, answers.Count);
        foreach (int i in Enumerable.Range(10, Requests))
        {
            Assert.Equal($"{i} + 20 = {i + 20}.", answers[$"sum-{i}"]["response"]!["body"]!["choices"]![0]!["message"]!["content"]!.GetValue<string>());
        }
    }

    private static int Completed(JsonNode batch) => batch["request_counts"]!["completed"]!.GetValue<int>();

    private static async Task<JsonNode> BatchAsync(ConfiguredCell cell, string id) => JsonNode.Parse(await cell.Http.GetStringAsync($"v1/batches/{id}"))!;

    private static async Task<JsonNode> UntilAsync(ConfiguredCell cell, string id, Func<JsonNode, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        JsonNode batch;
        while (!condition(batch = await BatchAsync(cell, id)))
        {
            await Task.Delay(2, deadline.Token);
        }

        return batch;
    }
}
