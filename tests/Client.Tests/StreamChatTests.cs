using Lamina.Client.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace Lamina.Client.Tests;

public sealed class StreamChatTests
{
    private static readonly ChatRequest s_chat = new() { Model = "m", Messages = [Message.User("hello")] };
    private static readonly string[] s_events = [.. "abcdefgh".Select(c => ScriptedServer.Chunk(c.ToString())), ScriptedServer.Chunk(null, "stop"), ScriptedServer.UsageChunk];

    [Fact]
    public async Task StreamChat_Undisturbed_GivesNumberedChunksAndUsage()
    {
        var generation = new ScriptedGeneration(s_events, _ => null);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client();
        List<ChatChunk> chunks = await client.StreamChatAsync(s_chat).ToListAsync();
        Assert.Equal("abcdefgh", string.Concat(chunks.Select(chunk => chunk.Text)));
        Assert.Equal(Enumerable.Range(1, 10).Select(i => (long)i), chunks.Select(chunk => chunk.EventNumber));
        Assert.Equal(7, chunks[^1].Usage!.TotalTokens);
        Assert.DoesNotContain(server.Requests, request => request.Method == "DELETE");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task StreamChat_EveryConnectionCut_LosesAndRepeatsNothing(int eventsPerConnection)
    {
        // With no event at all only the first connection is cut: without progress a client gives up.
        var generation = new ScriptedGeneration(s_events, connection => eventsPerConnection == 0 ? connection == 1 ? 0 : null : eventsPerConnection);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client(options => options with { MaxRetries = 2 });
        List<ChatChunk> chunks = await client.StreamChatAsync(s_chat).ToListAsync();
        Assert.Equal("abcdefgh", string.Concat(chunks.Select(chunk => chunk.Text)));
        Assert.Equal(10, chunks.Count);
        SeenRequest[] seen = [.. server.Requests];
        Assert.All(seen[1..], request => Assert.True(eventsPerConnection == 0 ? request.IdempotencyKey == seen[0].IdempotencyKey : request.Path == "/v1/generations/gen-1/events"));
    }

    [Fact]
    public async Task StreamChat_ServerRepeatsEvents_DropsThem()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, _) =>
        {
            foreach (int number in new[] { 1, 2, 2, 1, 3 })
            {
                await ScriptedServer.EventAsync(context, number, s_events[number - 1]);
            }

            await ScriptedServer.EventAsync(context, null, "[DONE]");
        });
        using LaminaClient client = server.Client();
        Assert.Equal("abc", await TextAsync(client.StreamChatAsync(s_chat)));
    }

    [Fact]
    public async Task StreamChat_UnnumberedStreamBreaks_ThrowsInsteadOfRepeating()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.EventAsync(context, null, s_events[0]));
        using LaminaClient client = server.Client();
        await Assert.ThrowsAsync<LaminaConnectionException>(() => TextAsync(client.StreamChatAsync(s_chat)));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task StreamChat_ServerForgotTheGeneration_ThrowsConnectionException()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, request) =>
        {
            if (request.Method == "GET")
            {
                await ScriptedServer.ErrorAsync(context, 404, "generation_not_found");
                return;
            }

            context.Response.Headers["X-Lamina-Generation"] = "gen-1";
            await ScriptedServer.EventAsync(context, 1, s_events[0]);
        });
        using LaminaClient client = server.Client();
        await Assert.ThrowsAsync<LaminaConnectionException>(() => TextAsync(client.StreamChatAsync(s_chat)));
    }

    [Fact]
    public async Task StreamChat_ErrorEvent_ThrowsItAndDoesNotResume()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, _) =>
        {
            await ScriptedServer.EventAsync(context, 1, s_events[0]);
            await ScriptedServer.EventAsync(context, null, """{"error":{"message":"lost","type":"server_error","param":null,"code":"model_not_ready"}}""");
        });
        using LaminaClient client = server.Client();
        LaminaServerException thrown = await Assert.ThrowsAsync<LaminaServerException>(() => TextAsync(client.StreamChatAsync(s_chat)));
        Assert.Equal(("lost", "model_not_ready"), (thrown.Message, thrown.Code));
        Assert.Single(server.Requests);
    }

    [Fact]
    public async Task StreamChat_CallerEndsEarly_CancelsTheGeneration()
    {
        var generation = new ScriptedGeneration(s_events, _ => null);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client();
        await foreach (ChatChunk chunk in client.StreamChatAsync(s_chat))
        {
            Assert.Equal("a", chunk.Text);
            break;
        }

        Assert.Equal(("DELETE", "/v1/generations/gen-1"), server.Requests.Select(request => (request.Method, request.Path)).Last());
    }

    [Fact]
    public async Task StreamChat_CancelledWhileWaiting_ThrowsCancellationAndCancelsTheGeneration()
    {
        using var stop = new CancellationTokenSource();
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, request) =>
        {
            if (request.Method == "POST")
            {
                context.Response.Headers["X-Lamina-Generation"] = "gen-1";
                await ScriptedServer.EventAsync(context, 1, s_events[0]);
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }
        });
        using LaminaClient client = server.Client();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ChatChunk _ in client.StreamChatAsync(s_chat, stop.Token))
            {
                stop.Cancel();
            }
        });
        Assert.Equal("DELETE", server.Requests.Last().Method);
    }

    [Fact]
    public async Task StreamChat_SilentConnection_IsGivenUpAndResumed()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(async (context, request) =>
        {
            context.Response.Headers["X-Lamina-Generation"] = "gen-1";
            await ScriptedServer.EventAsync(context, request.LastEventId is null ? 1 : 2, s_events[request.LastEventId is null ? 0 : 1]);
            if (request.LastEventId is null)
            {
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }

            await ScriptedServer.EventAsync(context, null, "[DONE]");
        });
        using LaminaClient client = server.Client(options => options with { IdleTimeout = TimeSpan.FromMilliseconds(200) });
        Assert.Equal("ab", await TextAsync(client.StreamChatAsync(s_chat)));
    }

    [Fact]
    public async Task ResumeChat_AfterAnEvent_GivesTheRest()
    {
        var generation = new ScriptedGeneration(s_events, _ => null);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client();
        Assert.Equal("efgh", await TextAsync(client.ResumeChatAsync("gen-1", 4)));
    }

    [Fact]
    public async Task StreamChat_CallerDoesNotRead_ServerIsHeldUp()
    {
        string[] events = [.. Enumerable.Range(0, 2000).Select(_ => ScriptedServer.Chunk(new string('x', 16 << 10)))];
        var generation = new ScriptedGeneration(events, _ => null);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client();
        await using IAsyncEnumerator<ChatChunk> chunks = client.StreamChatAsync(s_chat).GetAsyncEnumerator();
        Assert.True(await chunks.MoveNextAsync());
        int before;
        do
        {
            before = generation.Written;
            await Task.Delay(300);
        }
        while (generation.Written != before);

        // 32 MB in all; sockets and their windows hold a few.
        Assert.InRange(generation.Written, 1, 1500);
    }

    internal static async Task<string> TextAsync(IAsyncEnumerable<ChatChunk> chunks)
    {
        string text = "";
        await foreach (ChatChunk chunk in chunks)
        {
            text += chunk.Text;
        }

        return text;
    }
}
