using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Client.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.AI;

namespace Lamina.Client.Tests.AI;

public sealed class LaminaChatClientTests
{
    private const string CallAnswer = """
        {"id":"gen-1","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call-1","type":"function",
        "function":{"name":"weather","arguments":"{\"city\":\"Bergen\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}
        """;

    private const string TextAnswer = """
        {"id":"gen-2","created":5,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"It rains."},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":30,"completion_tokens":5,"total_tokens":35,"prompt_tokens_details":{"cached_tokens":8}}}
        """;

    [Fact]
    public async Task GetResponse_Options_BecomeTheContractsFields()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, TextAnswer));
        using LaminaClient client = server.Client();
        using JsonDocument schema = JsonDocument.Parse("""{"type":"object"}""");
        ChatResponse response = await client.AsChatClient("m").GetResponseAsync("Weather?", new ChatOptions
        {
            Instructions = "Be brief.", MaxOutputTokens = 9, Temperature = 0, Seed = 4, StopSequences = ["."],
            ResponseFormat = ChatResponseFormat.ForJsonSchema(schema.RootElement, "w", "why"),
            RawRepresentationFactory = _ => new ChatRequest { MinP = 0.25f },
        });
        JsonNode expected = JsonNode.Parse("""
            {"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather?"}],"max_completion_tokens":9,"temperature":0,"min_p":0.25,"seed":4,"stop":["."],
             "response_format":{"type":"json_schema","json_schema":{"name":"w","schema":{"type":"object"},"strict":true,"description":"why"}}}
            """)!;
        Assert.True(JsonNode.DeepEquals(expected, JsonNode.Parse(server.Requests.Single().Body)), server.Requests.Single().Body);
        Assert.Equal(("It rains.", ChatFinishReason.Stop, 30L, 5L, 8L), (response.Text, response.FinishReason!.Value, response.Usage!.InputTokenCount, response.Usage.OutputTokenCount, response.Usage.CachedInputTokenCount));
    }

    [Fact]
    public async Task GetResponse_ToolLoop_CallsTheFunctionAndSendsItsResult()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, request) =>
            ScriptedServer.JsonAsync(context, request.Body.Contains("tool_call_id", StringComparison.Ordinal) ? TextAnswer : CallAnswer));
        using LaminaClient client = server.Client();
        string? asked = null;
        AIFunction weather = AIFunctionFactory.Create((string city) => (asked = city) + ": rain", "weather", "Tells the weather.");
        using IChatClient chat = client.AsChatClient("m").AsBuilder().UseFunctionInvocation().Build();
        ChatResponse response = await chat.GetResponseAsync("Weather in Bergen?", new ChatOptions { Tools = [weather], ToolMode = ChatToolMode.Auto });
        Assert.Equal(("Bergen", "It rains."), (asked, response.Text));

        JsonNode first = JsonNode.Parse(server.Requests.First().Body)!;
        Assert.Equal(("weather", "auto"), (first["tools"]![0]!["function"]!["name"]!.GetValue<string>(), first["tool_choice"]!.GetValue<string>()));
        JsonArray messages = JsonNode.Parse(server.Requests.Last().Body)!["messages"]!.AsArray();
        Assert.Equal("""{"city":"Bergen"}""", messages[1]!["tool_calls"]![0]!["function"]!["arguments"]!.GetValue<string>());
        Assert.Equal(("tool", "call-1", "Bergen: rain"), (messages[2]!["role"]!.GetValue<string>(), messages[2]!["tool_call_id"]!.GetValue<string>(), messages[2]!["content"]!.GetValue<string>()));
    }

    [Fact]
    public async Task GetStreamingResponse_CallInPieces_BecomesOneCall()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, _) =>
        {
            await ScriptedServer.EventAsync(context, 1, ScriptedServer.Chunk("So: "));
            await ScriptedServer.EventAsync(context, 2, Piece("""{"index":0,"id":"call-1","type":"function","function":{"name":"weather","arguments":"{\"city\":"}}"""));
            await ScriptedServer.EventAsync(context, 3, Piece("""{"index":0,"function":{"arguments":"\"Bergen\"}"}}"""));
            await ScriptedServer.EventAsync(context, 4, ScriptedServer.Chunk(null, "tool_calls"));
            await ScriptedServer.EventAsync(context, 5, ScriptedServer.UsageChunk);
            await ScriptedServer.EventAsync(context, null, "[DONE]");
        });
        using LaminaClient client = server.Client();
        ChatResponse response = await client.AsChatClient("m").GetStreamingResponseAsync("Weather?").ToChatResponseAsync();
        FunctionCallContent call = Assert.Single(response.Messages.Single().Contents.OfType<FunctionCallContent>());
        Assert.Equal(("So: ", "call-1", "weather", "Bergen"), (response.Text, call.CallId, call.Name, call.Arguments!["city"]!.ToString()));
        Assert.Equal((ChatFinishReason.ToolCalls, 7L), (response.FinishReason!.Value, response.Usage!.TotalTokenCount));
    }

    [Fact]
    public async Task GetResponse_ContentThatTheServerCannotRead_IsRefusedBeforeSending()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, TextAnswer));
        using LaminaClient client = server.Client();
        var picture = new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1 }, "image/png")]);
        await Assert.ThrowsAsync<NotSupportedException>(() => client.AsChatClient("m").GetResponseAsync([picture]));
        await Assert.ThrowsAsync<InvalidOperationException>(() => client.AsChatClient().GetResponseAsync("no model"));
        Assert.Empty(server.Requests);
    }

    [Fact]
    public async Task GenerateEmbeddings_VectorsInAnyOrder_FollowTheTexts()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, """
            {"object":"list","model":"m","data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":6,"total_tokens":6}}
            """));
        using LaminaClient client = server.Client();
        GeneratedEmbeddings<Embedding<float>> embeddings = await client.AsEmbeddingGenerator("m").GenerateAsync(["a", "b"]);
        Assert.Equal([1f, 2f], embeddings[0].Vector.ToArray());
        Assert.Equal([3f, 4f], embeddings[1].Vector.ToArray());
        Assert.Equal(6, embeddings.Usage!.InputTokenCount);
    }

    [Fact]
    public void GetService_Metadata_NamesEndpointAndModel()
    {
        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = new Uri("http://localhost:1") });
        ChatClientMetadata metadata = client.AsChatClient("m").GetService<ChatClientMetadata>()!;
        Assert.Equal(("lamina", "m", new Uri("http://localhost:1")), (metadata.ProviderName, metadata.DefaultModelId, metadata.ProviderUri));
        Assert.Same(client, client.AsChatClient("m").GetService<LaminaClient>());
    }

    private static string Piece(string call) => $$$"""{"id":"gen-1","created":5,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{{{call}}}]},"finish_reason":null}]}""";
}
