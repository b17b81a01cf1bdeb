using System.ClientModel;
using System.ClientModel.Primitives;
using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;
using Lamina.Client;
using Microsoft.Extensions.AI;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using ChatMessage = OpenAI.Chat.ChatMessage;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>Tools, structured output and embeddings by SDKs that are not ours, and by the samples.</summary>
public sealed class FeatureTests(ServedModels served) : IClassFixture<ServedModels>
{
    private const string Question = "What is 27 + 15?";
    private const string Answer = "27 + 15 = 42.";

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private readonly OpenAIClientOptions _options = new() { Endpoint = new Uri(served.Address, "v1"), RetryPolicy = new ClientRetryPolicy(0) };

    private ChatClient Chat => new(ServedModels.Tools, new ApiKeyCredential("none"), _options);

    private static ChatTool Add { get; } = ChatTool.CreateFunctionTool("add", "Adds two numbers.", BinaryData.FromString("""
        {"type":"object","properties":{"a":{"type":"integer","minimum":0,"maximum":99},"b":{"type":"integer","minimum":0,"maximum":99}},"required":["a","b"],"additionalProperties":false}
        """));

    [Fact]
    public async Task OpenAi_RequiredTool_IsCalledAndItsResultAnswered()
    {
        var options = new ChatCompletionOptions { Temperature = 0, MaxOutputTokenCount = 128, Tools = { Add }, ToolChoice = ChatToolChoice.CreateRequiredChoice() };
        List<ChatMessage> messages = [ChatMessage.CreateUserMessage(Question)];
        OpenAI.Chat.ChatCompletion called = await Chat.CompleteChatAsync(messages, options);
        Assert.Equal(OpenAI.Chat.ChatFinishReason.ToolCalls, called.FinishReason);
        AssertArguments(called.ToolCalls.Single().FunctionName, called.ToolCalls[0].FunctionArguments.ToString());

        messages.Add(ChatMessage.CreateAssistantMessage(called));
        messages.Add(ChatMessage.CreateToolMessage(called.ToolCalls[0].Id, "42"));
        options.ToolChoice = ChatToolChoice.CreateAutoChoice();
        OpenAI.Chat.ChatCompletion answered = await Chat.CompleteChatAsync(messages, options);
        Assert.Equal((Answer, OpenAI.Chat.ChatFinishReason.Stop), (answered.Content[0].Text, answered.FinishReason));
    }

    [Fact]
    public async Task OpenAi_RequiredToolStreamed_ComesInPieces()
    {
        var options = new ChatCompletionOptions { Temperature = 0, Tools = { Add }, ToolChoice = ChatToolChoice.CreateFunctionChoice("add") };
        string? name = null;
        var arguments = new StringBuilder();
        await foreach (StreamingChatCompletionUpdate update in Chat.CompleteChatStreamingAsync([ChatMessage.CreateUserMessage(Question)], options))
        {
            foreach (StreamingChatToolCallUpdate call in update.ToolCallUpdates)
            {
                name = call.FunctionName ?? name;
                arguments.Append(call.FunctionArgumentsUpdate?.ToString());
            }
        }

        AssertArguments(name, arguments.ToString());
    }

    [Fact]
    public async Task OpenAi_JsonSchema_HoldsTheAnswer()
    {
        var options = new ChatCompletionOptions
        {
            Temperature = 1,
            ResponseFormat = OpenAI.Chat.ChatResponseFormat.CreateJsonSchemaFormat(
                "sum", BinaryData.FromString("""{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99},"kind":{"enum":["odd","even"]}},"required":["n","kind"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };
        OpenAI.Chat.ChatCompletion completion = await Chat.CompleteChatAsync([ChatMessage.CreateUserMessage(Question)], options);
        using JsonDocument json = JsonDocument.Parse(completion.Content[0].Text);
        Assert.InRange(json.RootElement.GetProperty("n").GetInt32(), 0, 99);
        Assert.Contains(json.RootElement.GetProperty("kind").GetString(), (string[])["odd", "even"]);
    }

    [Fact]
    public async Task ExtensionsAi_OverTheOpenAiPackage_LoopsThroughTheToolAndGivesTypedAnswers()
    {
        using IChatClient chat = Chat.AsIChatClient().AsBuilder().UseFunctionInvocation().Build();
        await LoopAsync(chat);
        await TypedAsync(chat);
    }

    [Fact]
    public async Task LaminaClient_AsIChatClient_LoopsThroughTheToolAndGivesTypedAnswers()
    {
        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = served.Address });
        using IChatClient chat = client.AsChatClient(ServedModels.Tools).AsBuilder().UseFunctionInvocation().Build();
        await LoopAsync(chat);
        await TypedAsync(chat);
    }

    [Fact]
    public async Task Embeddings_ByEveryClient_AreTheSame()
    {
        string[] texts = ["a red fox", "a blue bird"];
        var openAi = new EmbeddingClient(ServedModels.Encoder, new ApiKeyCredential("none"), _options);
        OpenAIEmbeddingCollection vectors = await openAi.GenerateEmbeddingsAsync(texts);
        Assert.Equal(2, vectors.Count);
        Assert.True(vectors.Usage.InputTokenCount > 0);
        Assert.Equal(1, vectors[0].ToFloats().ToArray().Sum(value => value * value), 1e-4);
        Assert.NotEqual(vectors[0].ToFloats().ToArray(), vectors[1].ToFloats().ToArray());

        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = served.Address });
        foreach (IEmbeddingGenerator<string, Embedding<float>> generator in (IEmbeddingGenerator<string, Embedding<float>>[])[openAi.AsIEmbeddingGenerator(), client.AsEmbeddingGenerator(ServedModels.Encoder)])
        {
            GeneratedEmbeddings<Embedding<float>> generated = await generator.GenerateAsync(texts);
            Assert.Equal(vectors.Select(vector => vector.ToFloats().ToArray()), generated.Select(embedding => embedding.Vector.ToArray()));
        }
    }

    [Fact]
    public async Task Embeddings_OfAGenerator_AreRefusedByEveryClient()
    {
        var openAi = new EmbeddingClient(ServedModels.Tools, new ApiKeyCredential("none"), _options);
        Assert.Equal(400, (await Assert.ThrowsAsync<ClientResultException>(() => openAi.GenerateEmbeddingAsync("text"))).Status);
        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = served.Address });
        Assert.Equal("model", (await Assert.ThrowsAsync<LaminaRequestException>(() => client.EmbedAsync(new EmbeddingRequest { Model = ServedModels.Tools, Input = ["text"] }))).Param);
    }

    [Fact]
    public async Task Sample_ToolLoop_CallsAnswersAndGivesATypedValue()
    {
        string output = await Tool.RunAsync(
            SampleTests.Built("ToolLoop"), [], s_limit, environment: new Dictionary<string, string> { ["LAMINA_URL"] = served.Address.ToString(), ["LAMINA_MODEL"] = ServedModels.Tools });
        Assert.Matches(@"^called: (\d\d?) \+ (\d\d?)\nanswer: 27 \+ 15 = 42\.\nAdd was told \d+\ntyped: \d\d? and \d\d?, even: (True|False)\n$", output);
    }

    [Theory]
    [InlineData("openai-tools.mjs")]
    [InlineData("ai-tools.mjs")]
    public async Task JavaScript_ToolsAndStructuredOutput_Conform(string script)
    {
        string output = await SampleTests.JavaScriptAsync(script, new Dictionary<string, string> { ["LAMINA_URL"] = new Uri(served.Address, "v1").ToString(), ["LAMINA_MODEL"] = ServedModels.Tools, ["LAMINA_EMBEDDER"] = ServedModels.Encoder });
        Assert.Matches(@"^called: add \d\d? \d\d?\nanswer: 27 \+ 15 = 42\.\nstructured: true\nembeddings: 2 of \d+\n$", output);
    }

    private static void AssertArguments(string? name, string arguments)
    {
        Assert.Equal("add", name);
        using JsonDocument json = JsonDocument.Parse(arguments);
        Assert.InRange(json.RootElement.GetProperty("a").GetInt32(), 0, 99);
        Assert.InRange(json.RootElement.GetProperty("b").GetInt32(), 0, 99);
    }

    private static async Task LoopAsync(IChatClient chat)
    {
        var calls = new List<(int, int)>();
        AIFunction add = AIFunctionFactory.Create(
            ([Range(0, 99)] int a, [Range(0, 99)] int b) =>
            {
                calls.Add((a, b));
                return a + b;
            }, "add");
        ChatResponse response = await chat.GetResponseAsync(Question, new ChatOptions { Temperature = 0, MaxOutputTokens = 128, Tools = [add], ToolMode = ChatToolMode.RequireAny });
        (int a, int b) = Assert.Single(calls);
        Assert.Equal(Answer, response.Text);
        Assert.Equal($"{a + b}", response.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>().Single().Result!.ToString());
    }

    private static async Task TypedAsync(IChatClient chat)
    {
        ChatResponse<Sum> response = await chat.GetResponseAsync<Sum>(Question, new ChatOptions { Temperature = 0, MaxOutputTokens = 128 });
        Assert.InRange(response.Result.First, 0, 99);
    }

    private sealed record Sum([property: Range(0, 99)] int First, bool IsEven);
}
