using System.Text.Json.Nodes;
using Akka.Streams;
using Akka.Streams.Dsl;
using Akka.TestKit.Xunit;
using Lamina.Client.Streams;
using Lamina.Client.Tests.Support;

namespace Lamina.Client.Tests.Streams;

public sealed class LaminaStreamsTests() : TestKit(TestActors.Patient)
{
    private const int Prompts = 200;
    private const int Parallelism = 8;

    private int _inFlight;
    private int _most;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ChatFlow_ManyPrompts_EachAnsweredOnceWithinTheLimit(bool ordered)
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(EchoAsync);
        using LaminaClient client = server.Client();
        IEnumerable<BatchAnswer<int>> answers = await Source.From(Enumerable.Range(0, Prompts))
            .Select(i => new BatchPrompt<int>(i, new ChatRequest { Model = "m", Messages = [Message.User($"{i}")] }))
            .Via(ordered ? client.ChatFlow<int>(Parallelism) : client.UnorderedChatFlow<int>(Parallelism))
            .RunWith(Sink.Seq<BatchAnswer<int>>(), Sys.Materializer());

        List<BatchAnswer<int>> all = [.. answers];
        Assert.Equal(Enumerable.Range(0, Prompts), ordered ? all.Select(answer => answer.Key) : all.Select(answer => answer.Key).Order());
        Assert.All(all, answer => Assert.Equal(answer.Key % 10 == 7 ? null : $"{answer.Key}!", answer.Completion?.Text));
        Assert.All(all, answer => Assert.Equal(answer.Key % 10 == 7, answer.Failure is LaminaRequestException));
        Assert.InRange(_most, 2, Parallelism);
    }

    [Fact]
    public async Task ChatSource_StreamOfAChat_GivesItsChunks()
    {
        string[] events = [ScriptedServer.Chunk("a"), ScriptedServer.Chunk("b"), ScriptedServer.Chunk(null, "stop")];
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        string text = await client.ChatSource(new ChatRequest { Model = "m", Messages = [Message.User("x")] })
            .RunAggregate("", (sum, chunk) => sum + chunk.Text, Sys.Materializer());
        Assert.Equal("ab", text);
    }

    /// <summary>Answers a prompt with itself and an exclamation mark; refuses those that end in 7.</summary>
    private async Task EchoAsync(Microsoft.AspNetCore.Http.HttpContext context, SeenRequest request)
    {
        int now = Interlocked.Increment(ref _inFlight);
        for (int most = _most; now > most; most = _most)
        {
            Interlocked.CompareExchange(ref _most, now, most);
        }

        await Task.Yield();
        string prompt = JsonNode.Parse(request.Body)!["messages"]![0]!["content"]!.GetValue<string>();
        Interlocked.Decrement(ref _inFlight);
        await (prompt.EndsWith('7')
            ? ScriptedServer.ErrorAsync(context, 400, "invalid_value")
            : ScriptedServer.JsonAsync(context, $$"""{"id":"x","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"{{prompt}}!"},"finish_reason":"stop"}]}"""));
    }
}
