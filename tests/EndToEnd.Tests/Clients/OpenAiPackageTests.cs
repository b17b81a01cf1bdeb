using System.ClientModel;
using System.ClientModel.Primitives;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>OpenAI's own .NET package, and Microsoft.Extensions.AI on top of it, against the shipping executable.</summary>
[Collection(ServedOnce.Name)]
public sealed class OpenAiPackageTests(ServedModel served)
{
    private const string Question = "What is 27 + 15?";
    private const string Answer = "27 + 15 = 42.";

    private readonly OpenAIClientOptions _options = new() { Endpoint = new Uri(served.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0) };

    private ChatClient Chat => new(ServedModel.ModelName, new ApiKeyCredential("none"), _options);

    [Fact]
    public async Task ChatClient_Question_IsAnsweredWithUsage()
    {
        ChatCompletion completion = await Chat.CompleteChatAsync([ChatMessage.CreateUserMessage(Question)], new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 64 });
        Assert.Equal((Answer, OpenAI.Chat.ChatFinishReason.Stop), (completion.Content[0].Text, completion.FinishReason));
        Assert.Equal(completion.Usage.TotalTokenCount, completion.Usage.InputTokenCount + completion.Usage.OutputTokenCount);
    }

    [Fact]
    public async Task ChatClient_Streaming_GivesTheSameAnswerAndUsage()
    {
        string text = "";
        int? tokens = null;
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage(Question)], new ChatCompletionOptions { Temperature = 0 }))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            tokens = update.Usage?.OutputTokenCount ?? tokens;
        }

        Assert.Equal(Answer, text);
        Assert.True(tokens > 0);
    }

    [Fact]
    public async Task ChatClient_UnknownModel_Is404() =>
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => new ChatClient("no-such-model", new ApiKeyCredential("none"), _options).CompleteChatAsync(Question))).Status);

    [Fact]
    public async Task ChatClient_ValueOutOfRange_Is400ThatNamesTheField()
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => Chat.CompleteChatAsync([ChatMessage.CreateUserMessage(Question)], new ChatCompletionOptions { Temperature = 9 }));
        Assert.Equal(400, refused.Status);
        Assert.Contains("temperature", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChatClient_AbortMidStream_EndsTheStreamAndTheServerStillAnswers()
    {
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate _ in Chat.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage("Tell me a story about a red fox in the forest.")], cancellationToken: stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        await ChatClient_Question_IsAnsweredWithUsage();
    }

    [Fact]
    public async Task ModelClient_List_HasTheModel()
    {
        OpenAIModelCollection models = await new OpenAIModelClient(new ApiKeyCredential("none"), _options).GetModelsAsync();
        Assert.Contains(ServedModel.ModelName, models.Select(model => model.Id));
    }

    [Fact]
    public async Task EmbeddingClient_ServerEmbedsNothing_IsARefusalAndNoAnswer()
    {
        var embeddings = new OpenAI.Embeddings.EmbeddingClient(ServedModel.ModelName, new ApiKeyCredential("none"), _options);
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => embeddings.GenerateEmbeddingAsync("text"));
        Assert.InRange(refused.Status, 400, 499);
    }

    [Fact]
    public async Task ExtensionsAi_OverTheOpenAiPackage_AnswersAndStreams()
    {
        using IChatClient client = Chat.AsIChatClient();
        ChatResponse response = await client.GetResponseAsync(Question, new ChatOptions { Temperature = 0 });
        ChatResponse streamed = await client.GetStreamingResponseAsync(Question, new ChatOptions { Temperature = 0 }).ToChatResponseAsync();
        Assert.Equal((Answer, Answer), (response.Text, streamed.Text));
        Assert.Equal(response.Usage!.OutputTokenCount, streamed.Usage!.OutputTokenCount);
    }
}
