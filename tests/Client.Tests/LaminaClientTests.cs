using System.Text.Json.Nodes;
using Lamina.Client.Tests.Support;

namespace Lamina.Client.Tests;

public sealed class LaminaClientTests
{
    private static readonly ChatRequest s_chat = new() { Model = "m", Messages = [Message.User("hello")] };

    private const string Answer = """
        {"id":"gen-1","object":"chat.completion","created":5,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},
        "logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}}
        """;

    [Fact]
    public async Task CompleteChat_Request_SendsOnlyTheFieldsThatWereSet()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, Answer));
        using LaminaClient client = server.Client(options => options with { ApiKey = "secret" });
        ChatCompletion completion = await client.CompleteChatAsync(s_chat with { MaxTokens = 9, TopP = 0.5f, Stop = ["x"], ToolChoice = ToolChoice.Function("f") });

        SeenRequest seen = Assert.Single(server.Requests);
        Assert.Equal(("POST", "/v1/chat/completions", "Bearer secret"), (seen.Method, seen.Path, seen.Authorization));
        JsonNode expected = JsonNode.Parse("""
            {"model":"m","messages":[{"role":"user","content":"hello"}],"max_completion_tokens":9,"top_p":0.5,"stop":["x"],"tool_choice":{"type":"function","function":{"name":"f"}}}
            """)!;
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(seen.Body)), seen.Body);
        Assert.Equal(("gen-1", "hi", "stop", 7, 2), (completion.Id, completion.Text, completion.Choices[0].FinishReason, completion.Usage!.TotalTokens, completion.Usage.PromptTokensDetails!.CachedTokens));
    }

    [Theory]
    [InlineData(400, typeof(LaminaRequestException))]
    [InlineData(401, typeof(LaminaAuthenticationException))]
    [InlineData(403, typeof(LaminaPermissionException))]
    [InlineData(404, typeof(LaminaNotFoundException))]
    [InlineData(413, typeof(LaminaRequestException))]
    [InlineData(422, typeof(LaminaRequestException))]
    [InlineData(429, typeof(LaminaRateLimitException))]
    [InlineData(500, typeof(LaminaServerException))]
    [InlineData(503, typeof(LaminaUnavailableException))]
    public async Task CompleteChat_Refused_ThrowsTheClassOfTheStatus(int status, Type expected)
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.ErrorAsync(context, status, "a_code", "a_param"));
        using LaminaClient client = server.Client(options => options with { MaxRetries = 0 });
        LaminaException thrown = (LaminaException)await Assert.ThrowsAsync(expected, () => client.CompleteChatAsync(s_chat));
        Assert.Equal((status, "a_code", "a_param", "no: a_code"), (thrown.Status, thrown.Code, thrown.Param, thrown.Message));
    }

    [Fact]
    public async Task CompleteChat_RefusedByAProxyWithoutJson_StillThrowsTheClassOfTheStatus()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, "<html>", 404));
        using LaminaClient client = server.Client();
        Assert.Equal(404, (await Assert.ThrowsAsync<LaminaNotFoundException>(() => client.CompleteChatAsync(s_chat))).Status);
    }

    [Fact]
    public async Task CompleteChat_FailuresThatPass_AreRepeatedWithTheSameKey()
    {
        int calls = 0;
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) =>
        {
            switch (++calls)
            {
                case 1:
                    context.Response.Headers.RetryAfter = "0";
                    return ScriptedServer.ErrorAsync(context, 429, "overloaded");
                case 2:
                    context.Abort();
                    return Task.CompletedTask;
                case 3:
                    return ScriptedServer.ErrorAsync(context, 503, "model_not_ready");
                default:
                    return ScriptedServer.JsonAsync(context, Answer);
            }
        });
        using LaminaClient client = server.Client();
        Assert.Equal("hi", (await client.CompleteChatAsync(s_chat)).Text);
        Assert.Equal(4, server.Requests.Count);
        Assert.NotNull(Assert.Single(server.Requests.Select(request => request.IdempotencyKey).Distinct()));
    }

    [Fact]
    public async Task CompleteChat_RetryAfterBeyondPatience_ThrowsAtOnceAndSaysWhen()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) =>
        {
            context.Response.Headers.RetryAfter = "3600";
            return ScriptedServer.ErrorAsync(context, 429, "quota");
        });
        using LaminaClient client = server.Client();
        LaminaRateLimitException thrown = await Assert.ThrowsAsync<LaminaRateLimitException>(() => client.CompleteChatAsync(s_chat));
        Assert.Equal(TimeSpan.FromHours(1), thrown.Detail!.RetryAfter);
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task CompleteChat_NoAnswerInTime_ThrowsConnectionException()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => Task.Delay(Timeout.Infinite, context.RequestAborted));
        using LaminaClient client = server.Client(options => options with { ResponseTimeout = TimeSpan.FromMilliseconds(100), MaxRetries = 1 });
        await Assert.ThrowsAsync<LaminaConnectionException>(() => client.CompleteChatAsync(s_chat));
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task CompleteChat_Cancelled_ThrowsCancellationWithoutRetry()
    {
        using var stop = new CancellationTokenSource();
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) =>
        {
            stop.Cancel();
            return Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        using LaminaClient client = server.Client();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.CompleteChatAsync(s_chat, stop.Token));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task CompleteChat_NotResumable_SendsNoKey()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, Answer));
        using LaminaClient client = server.Client(options => options with { Resumable = false });
        await client.CompleteChatAsync(s_chat);
        Assert.Null(Assert.Single(server.Requests).IdempotencyKey);
    }

    [Fact]
    public async Task CompleteChat_AnswerThatIsNoJson_ThrowsContractException()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, "pardon?"));
        using LaminaClient client = server.Client();
        await Assert.ThrowsAsync<LaminaContractException>(() => client.CompleteChatAsync(s_chat));
    }

    [Fact]
    public async Task Models_ListAndItem_AreRead()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, request) => request.Path switch
        {
            "/v1/models" => ScriptedServer.JsonAsync(context, """{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"acme"}]}"""),
            "/v1/models/a b" => ScriptedServer.JsonAsync(context, """{"id":"a b","object":"model","created":2,"owned_by":"acme"}"""),
            _ => ScriptedServer.ErrorAsync(context, 404, "not_found"),
        });
        using LaminaClient client = server.Client();
        Assert.Equal([new ModelInfo("a", 1, "acme")], await client.ListModelsAsync());
        Assert.Equal(new ModelInfo("a b", 2, "acme"), await client.GetModelAsync("a b"));
        Assert.False(await client.IsReadyAsync(TimeSpan.FromSeconds(5)));
    }

    [Theory]
    [InlineData("/relative")]
    [InlineData("ftp://host")]
    public void Client_EndpointThatIsNoHttpAddress_IsRefused(string endpoint) =>
        Assert.Throws<ArgumentException>(() => new LaminaClient(new LaminaClientOptions { Endpoint = new Uri(endpoint, UriKind.RelativeOrAbsolute) }));
}
