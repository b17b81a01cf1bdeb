#pragma warning disable OPENAI001 // The package calls its Responses client experimental.
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json;
using OpenAI.Responses;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>OpenAI's own .NET package speaks the Responses API with the shipping executable.</summary>
public sealed class ResponsesPackageTests(ServedModel served) : IClassFixture<ServedModel>
{
    private const string Question = "What is 27 + 15?";
    private const string Answer = "27 + 15 = 42.";

    private ResponsesClient Client => new(new ApiKeyCredential("none"), new ResponsesClientOptions { Endpoint = new Uri(served.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0) });

    [Fact]
    public async Task Response_Question_IsAnsweredStoredContinuedAndDeleted()
    {
        ResponseResult response = await Client.CreateResponseAsync(Options(Question));
        Assert.Equal((Answer, ResponseStatus.Completed), (response.GetOutputText(), response.Status));
        Assert.Equal(response.Usage.TotalTokenCount, response.Usage.InputTokenCount + response.Usage.OutputTokenCount);

        ResponseResult again = await Client.GetResponseAsync(response.Id);
        Assert.Equal(Answer, again.GetOutputText());
        var items = new List<ResponseItem>();
        await foreach (ResponseItem item in Client.GetResponseInputItemsAsync(response.Id))
        {
            items.Add(item);
        }

        Assert.Equal(Question, Assert.IsAssignableFrom<MessageResponseItem>(Assert.Single(items)).Content[0].Text);

        CreateResponseOptions next = Options("What is 12 + 13?");
        next.PreviousResponseId = response.Id;
        ResponseResult second = await Client.CreateResponseAsync(next);
        Assert.True(second.Usage.InputTokenCount > response.Usage.InputTokenCount + response.Usage.OutputTokenCount);

        ResponseDeletionResult deleted = await Client.DeleteResponseAsync(response.Id);
        Assert.True(deleted.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => Client.GetResponseAsync(response.Id))).Status);
    }

    [Fact]
    public async Task Response_Streamed_IsTheSameAnswerInTypedUpdates()
    {
        CreateResponseOptions options = Options(Question);
        options.StreamingEnabled = true;
        string text = "";
        ResponseResult? final = null;
        var sequence = new List<int>();
        await foreach (StreamingResponseUpdate update in await Client.CreateResponseStreamingAsync(options))
        {
            sequence.Add(update.SequenceNumber);
            text += update is StreamingResponseOutputTextDeltaUpdate delta ? delta.Delta : "";
            final = update is StreamingResponseCompletedUpdate completed ? completed.Response : final;
        }

        Assert.Equal((Answer, Answer), (text, final?.GetOutputText()));
        Assert.Equal(Enumerable.Range(0, sequence.Count), sequence);
    }

    [Fact]
    public async Task Response_HeldToASchema_Validates()
    {
        CreateResponseOptions options = Options(Question);
        options.TextOptions = new ResponseTextOptions
        {
            TextFormat = ResponseTextFormat.CreateJsonSchemaFormat(
                "sum", BinaryData.FromString("""{"type":"object","properties":{"sum":{"type":"integer","minimum":0,"maximum":99}},"required":["sum"],"additionalProperties":false}"""), null, true),
        };
        ResponseResult response = await Client.CreateResponseAsync(options);
        using JsonDocument json = JsonDocument.Parse(response.GetOutputText());
        Assert.InRange(json.RootElement.GetProperty("sum").GetInt32(), 0, 99);
    }

    private static CreateResponseOptions Options(string question) =>
        new(ServedModel.ModelName, [ResponseItem.CreateUserMessageItem(question)]) { Temperature = 0, MaxOutputTokenCount = 64, Metadata = { ["purpose"] = "test" } };
}
