using Akka.Actor;
using Akka.TestKit.Xunit;
using Lamina.Client.Actors;
using Lamina.Client.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Client.Tests.Actors;

[Collection(nameof(AloneInTheProcess))]
public sealed class InferenceClientTests() : TestKit(TestActors.Patient)
{
    private static readonly ChatRequest s_chat = new() { Model = "m", Messages = [Message.User("hello")] };
    private static readonly string[] s_events = [.. "abcdefgh".Select(c => ScriptedServer.Chunk(c.ToString())), ScriptedServer.Chunk(null, "stop"), ScriptedServer.UsageChunk];
    private static readonly RequestId s_id = new("r1");

    [Fact]
    public async Task Generate_NoLimitOfDemand_StartsStreamsAndCompletes()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => 4).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, int.MaxValue), TestActor);

        InferenceEvents.GenerationStarted started = await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        Assert.Equal((s_id, "gen-1", "m", server.Address), (started.Request, started.Generation, started.Model, started.Endpoint));
        string text = "";
        for (int i = 0; i < 8; i++)
        {
            text += (await ExpectMsgAsync<InferenceEvents.TokensGenerated>()).Text;
        }

        Assert.Equal("abcdefgh", text);
        InferenceEvents.GenerationCompleted completed = await ExpectMsgAsync<InferenceEvents.GenerationCompleted>();
        Assert.Equal(("stop", 7), (completed.FinishReason, completed.Usage!.TotalTokens));
    }

    [Fact]
    public async Task Demand_ByTwos_LetsNoMoreThrough()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 0), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        for (int i = 0; i < 4; i++)
        {
            await ExpectNoMsgAsync(TimeSpan.FromMilliseconds(50));
            actor.Tell(new InferenceCommands.Demand(s_id, 2));
            await ExpectMsgAsync<InferenceEvents.TokensGenerated>();
            await ExpectMsgAsync<InferenceEvents.TokensGenerated>();
        }

        // The end is no text and needs no demand.
        await ExpectMsgAsync<InferenceEvents.GenerationCompleted>();
    }

    [Fact]
    public async Task Demand_NeverGiven_HoldsNoMoreThanAFewChunksInMemory()
    {
        // 64 MB, of which the subscriber takes one chunk of 16 KB.
        string[] events = [.. Enumerable.Repeat(ScriptedServer.Chunk(new string('x', 16 << 10)), 4000)];
        var generation = new ScriptedGeneration(events, _ => null);
        await using ScriptedServer server = await ScriptedServer.StartAsync(generation.AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        long before = GC.GetTotalMemory(forceFullCollection: true);
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 1), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        await ExpectMsgAsync<InferenceEvents.TokensGenerated>();
        int written;
        do
        {
            written = generation.Written;
            await ExpectNoMsgAsync(TimeSpan.FromMilliseconds(300));
        }
        while (generation.Written != written);

        // Server and client share this process, so what the server's own buffers hold counts too; the kernel's do not.
        long held = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.True(held < 4 << 20, $"{held} bytes are held for a subscriber that takes nothing");
        actor.Tell(new InferenceCommands.Cancel(s_id));
        await ExpectMsgAsync<InferenceEvents.GenerationCompleted>();
    }

    [Fact]
    public async Task Cancel_Running_CompletesAsCancelledAndEndsItAtTheServer()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 1), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        await ExpectMsgAsync<InferenceEvents.TokensGenerated>();
        actor.Tell(new InferenceCommands.Cancel(s_id));
        Assert.Equal("cancelled", (await ExpectMsgAsync<InferenceEvents.GenerationCompleted>()).FinishReason);
        await AwaitConditionAsync(() => Task.FromResult(server.Requests.Any(request => request.Method == "DELETE")));
    }

    [Fact]
    public async Task Subscriber_Dies_GenerationIsCancelledAtTheServer()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        Akka.TestKit.TestProbe subscriber = CreateTestProbe();
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 1, subscriber.Ref));
        await subscriber.ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        Sys.Stop(subscriber.Ref);
        await AwaitConditionAsync(() => Task.FromResult(server.Requests.Any(request => request.Method == "DELETE")));
    }

    [Fact]
    public async Task Generate_CallInPieces_RequestsOneCall()
    {
        string[] pieces = ["""{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\""}}""", """{"index":0,"function":{"arguments":":1}"}}"""];
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(
            [.. pieces.Select(piece => $$$"""{"id":"gen-1","model":"m","choices":[{"index":0,"delta":{"tool_calls":[{{{piece}}}]},"finish_reason":null}]}"""), ScriptedServer.Chunk(null, "tool_calls")],
            _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        Sys.ActorOf(InferenceClient.Props(client)).Tell(new InferenceCommands.Generate(s_id, s_chat, 5), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        ToolCall call = (await ExpectMsgAsync<InferenceEvents.ToolCallRequested>()).Call;
        Assert.Equal(("c", "f", """{"a":1}"""), (call.Id, call.Function.Name, call.Function.Arguments));
        Assert.Equal("tool_calls", (await ExpectMsgAsync<InferenceEvents.GenerationCompleted>()).FinishReason);
    }

    [Fact]
    public async Task Resume_AfterAnEvent_GivesTheRest()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        Sys.ActorOf(InferenceClient.Props(client)).Tell(new InferenceCommands.Resume(s_id, "gen-1", 6, int.MaxValue), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        Assert.Equal("g", (await ExpectMsgAsync<InferenceEvents.TokensGenerated>()).Text);
        Assert.Equal("h", (await ExpectMsgAsync<InferenceEvents.TokensGenerated>()).Text);
        await ExpectMsgAsync<InferenceEvents.GenerationCompleted>();
    }

    [Fact]
    public async Task Generate_Refused_FailsWithTheReason()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.ErrorAsync(context, 404, "model_not_found", "model"));
        using LaminaClient client = server.Client();
        Sys.ActorOf(InferenceClient.Props(client)).Tell(new InferenceCommands.Generate(s_id, s_chat, 1), TestActor);
        InferenceEvents.GenerationFailed failed = await ExpectMsgAsync<InferenceEvents.GenerationFailed>();
        Assert.IsType<LaminaNotFoundException>(failed.Reason);
        Assert.Null(failed.Generation);
    }

    [Fact]
    public async Task Generate_AboveTheLimit_WaitsItsTurn()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client, concurrency: 1));
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 0), TestActor);
        actor.Tell(new InferenceCommands.Generate(new RequestId("r2"), s_chat, 0), TestActor);
        actor.Tell(new InferenceCommands.Generate(new RequestId("r3"), s_chat, 0), TestActor);
        Assert.Equal(s_id, (await ExpectMsgAsync<InferenceEvents.GenerationStarted>()).Request);
        actor.Tell(new InferenceCommands.Cancel(new RequestId("r2")));
        Assert.Equal(new RequestId("r2"), (await ExpectMsgAsync<InferenceEvents.GenerationCompleted>()).Request);
        actor.Tell(new InferenceCommands.Demand(s_id, int.MaxValue));
        await FishForMessageAsync(message => message is InferenceEvents.GenerationCompleted);
        Assert.Equal(new RequestId("r3"), (await ExpectMsgAsync<InferenceEvents.GenerationStarted>()).Request);
    }

    [Fact]
    public async Task Generate_SameIdTwice_FailsTheSecond()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 0), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        actor.Tell(new InferenceCommands.Generate(s_id, s_chat, 0), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationFailed>();
    }
}
