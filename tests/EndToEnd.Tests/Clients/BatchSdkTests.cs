using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Batch;
using OpenAI.Files;

#pragma warning disable OPENAI001 // OpenAI marks its batch client as experimental.

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>Files and batches by OpenAI's own .NET package, against the shipping executable.</summary>
[Collection(ServedOnce.Name)]
public sealed class BatchSdkTests(ServedModel served)
{
    private readonly OpenAIClientOptions _options = new() { Endpoint = new Uri(served.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0) };

    private OpenAIFileClient Files => new(new ApiKeyCredential("none"), _options);

    private BatchClient Batches => new(new ApiKeyCredential("none"), new BatchClientOptions { Endpoint = _options.Endpoint });

    [Fact]
    public async Task Batch_OfChats_IsAnsweredAsTheRequestsThemselves()
    {
        string[] questions = ["What is 27 + 15?", "What is the capital of Norway?", "What is 12 + 20?"];
        IEnumerable<JsonObject> good = questions.Select((question, i) => BatchFile.Line($"good-{i}", "/v1/chat/completions", ChatApi.Chat(ChatApi.User(question))));
        JsonObject unknownModel = ChatApi.Chat(ChatApi.User("hi"));
        unknownModel["model"] = "no-such-model";
        JsonObject tooHot = ChatApi.Chat(ChatApi.User("hi"));
        tooHot["temperature"] = 9;
        JsonNode batch = await RunAsync("/v1/chat/completions", [.. good, BatchFile.Line("unknown", "/v1/chat/completions", unknownModel), BatchFile.Line("hot", "/v1/chat/completions", tooHot)]);

        Assert.Equal("""{"total":5,"completed":3,"failed":2}""", batch["request_counts"]!.ToJsonString());
        Dictionary<string, JsonNode> answers = await LinesAsync(batch, "output_file_id");
        for (int i = 0; i < questions.Length; i++)
        {
            JsonNode response = answers[$"good-{i}"]["response"]!;
            Assert.Equal(200, response["status_code"]!.GetValue<int>());
            Assert.Equal(await served.Http.AnswerAsync(ChatApi.Chat(ChatApi.User(questions[i]))), response["body"]!["choices"]![0]!["message"]!["content"]!.GetValue<string>());
            Assert.True(response["body"]!["usage"]!["completion_tokens"]!.GetValue<int>() > 0);
        }

        Dictionary<string, JsonNode> errors = await LinesAsync(batch, "error_file_id");
        Assert.Equal((404, "model_not_found"), Refusal(errors["unknown"]));
        Assert.Equal((400, "invalid_value"), Refusal(errors["hot"]));
    }

    [Fact]
    public async Task Batch_OfCompletions_IsAnswered()
    {
        JsonNode batch = await RunAsync("/v1/completions", [BatchFile.Line("a", "/v1/completions", new JsonObject { ["model"] = ServedModel.ModelName, ["prompt"] = "Once upon a time", ["max_tokens"] = 8, ["temperature"] = 0 })]);
        JsonNode answer = (await LinesAsync(batch, "output_file_id"))["a"]["response"]!["body"]!;
        Assert.Equal(("text_completion", "length"), (answer["object"]!.GetValue<string>(), answer["choices"]![0]!["finish_reason"]!.GetValue<string>()));
    }

    [Fact]
    public async Task Batch_OfEmbeddings_GetsWhatTheEndpointSays()
    {
        // The built-in model is a generator, so each line is refused, and the batch is complete all the same.
        JsonNode batch = await RunAsync("/v1/embeddings", [BatchFile.Line("a", "/v1/embeddings", new JsonObject { ["model"] = ServedModel.ModelName, ["input"] = "text" })]);
        Assert.Equal("""{"total":1,"completed":0,"failed":1}""", batch["request_counts"]!.ToJsonString());
        Assert.Null(batch["output_file_id"]);
        Assert.Equal(400, Refusal((await LinesAsync(batch, "error_file_id"))["a"]).Status);
    }

    [Fact]
    public async Task Batch_WrongLine_FailsAndNamesIt()
    {
        JsonNode batch = await RunAsync("/v1/chat/completions", [BatchFile.Line("a", "/v1/completions", [])], status: "failed");
        Assert.Equal(("mismatched_url", 1), (batch["errors"]!["data"]![0]!["code"]!.GetValue<string>(), batch["errors"]!["data"]![0]!["line"]!.GetValue<int>()));
    }

    [Fact]
    public async Task Batch_Cancelled_KeepsWhatWasAnsweredAndCountsItExactly()
    {
        JsonObject story = ChatApi.Chat(ChatApi.User("Tell me a story about a red fox in the forest."), maxTokens: 120);
        (CreateBatchOperation created, string input) = await CreateAsync("/v1/chat/completions", [.. Enumerable.Range(0, 300).Select(i => BatchFile.Line($"s{i}", "/v1/chat/completions", (JsonObject)story.DeepClone()))]);
        JsonNode batch = await UntilAsync(created.BatchId, batch => batch["request_counts"]!["completed"]!.GetValue<int>() > 0);
        await created.CancelAsync(null);
        batch = await UntilAsync(created.BatchId, batch => batch["status"]!.GetValue<string>() == "cancelled");
        int completed = batch["request_counts"]!["completed"]!.GetValue<int>();
        Assert.InRange(completed, 1, 299);
        Assert.Equal(completed, (await LinesAsync(batch, "output_file_id")).Count);
        Assert.True((await Files.DeleteFileAsync(input)).Value.Deleted);
    }

    [Fact]
    public async Task Files_Uploaded_AreListedReadAndDeleted()
    {
        OpenAIFile file = await Files.UploadFileAsync(BinaryData.FromString("{}\n"), "notes.jsonl", FileUploadPurpose.Batch);
        Assert.Equal(("notes.jsonl", 3L, FilePurpose.Batch), (file.Filename, file.SizeInBytesLong!.Value, file.Purpose));
        Assert.Contains(file.Id, (await Files.GetFilesAsync()).Value.Select(known => known.Id));
        Assert.Equal("{}\n", (await Files.DownloadFileAsync(file.Id)).Value.ToString());
        Assert.True((await Files.DeleteFileAsync(file.Id)).Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => Files.GetFileAsync(file.Id))).Status);
    }

    private static (int Status, string Code) Refusal(JsonNode line) =>
        (line["response"]!["status_code"]!.GetValue<int>(), line["response"]!["body"]!["error"]!["code"]!.GetValue<string>());

    private async Task<JsonNode> RunAsync(string endpoint, IReadOnlyList<JsonObject> lines, string status = "completed")
    {
        (CreateBatchOperation created, _) = await CreateAsync(endpoint, lines);
        return await UntilAsync(created.BatchId, batch => batch["status"]!.GetValue<string>() == status);
    }

    private async Task<(CreateBatchOperation Batch, string Input)> CreateAsync(string endpoint, IReadOnlyList<JsonObject> lines)
    {
        OpenAIFile input = await Files.UploadFileAsync(BinaryData.FromBytes(Encoding.UTF8.GetBytes(BatchFile.Of(lines))), "input.jsonl", FileUploadPurpose.Batch);
        var body = BinaryContent.Create(BinaryData.FromString(JsonSerializer.Serialize(new { input_file_id = input.Id, endpoint, completion_window = "24h" })));
        return (await Batches.CreateBatchAsync(body, waitUntilCompleted: false), input.Id);
    }

    private async Task<JsonNode> UntilAsync(string id, Func<JsonNode, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (true)
        {
            CreateBatchOperation operation = await CreateBatchOperation.RehydrateAsync(Batches, id, deadline.Token);
            JsonNode batch = JsonNode.Parse((await operation.GetBatchAsync(null)).GetRawResponse().Content.ToString())!;
            if (condition(batch))
            {
                return batch;
            }

            Assert.DoesNotContain(batch["status"]!.GetValue<string>(), (string[])["completed", "failed", "expired"]);
            await Task.Delay(50, deadline.Token);
        }
    }

    private async Task<Dictionary<string, JsonNode>> LinesAsync(JsonNode batch, string file) => BatchFile.Read((await Files.DownloadFileAsync(batch[file]!.GetValue<string>())).Value.ToString());
}

/// <summary>Inputs and outputs of batches.</summary>
internal static class BatchFile
{
    public static JsonObject Line(string customId, string url, JsonObject body) => new() { ["custom_id"] = customId, ["method"] = "POST", ["url"] = url, ["body"] = body };

    public static string Of(IEnumerable<JsonObject> lines) => string.Concat(lines.Select(line => line.ToJsonString() + "\n"));

    /// <summary>Lines by custom id; throws where one stands there twice.</summary>
    public static Dictionary<string, JsonNode> Read(string content) =>
        content.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).ToDictionary(line => line["custom_id"]!.GetValue<string>());
}
