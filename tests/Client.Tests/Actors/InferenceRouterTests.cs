using Akka.Actor;
using Akka.Hosting;
using Akka.TestKit.Xunit;
using Lamina.Client.Actors;
using Lamina.Client.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Lamina.Client.Tests.Actors;

public sealed class InferenceRouterTests() : TestKit(TestActors.Patient)
{
    private static readonly ChatRequest s_chat = new() { Model = "m", Messages = [Message.User("hello")] };
    private static readonly string[] s_events = [ScriptedServer.Chunk("a"), ScriptedServer.Chunk(null, "stop"), ScriptedServer.UsageChunk];

    [Fact]
    public void Choose_HealthyWithFewest_FirstAmongEquals()
    {
        RouterState state = RouterState.Start([new Uri("http://a"), new Uri("http://b"), new Uri("http://c")]);
        Assert.Equal(0, state.Choose([]));
        state = state.Place(new RequestId("1"), 0);
        Assert.Equal(1, state.Choose([]));
        Assert.Equal(2, state.WithHealth(1, false).Choose([]));
        Assert.Equal(2, state.Choose([0, 1]));
        Assert.Equal(0, state.End(new RequestId("1")).Choose([]));
        Assert.Null(state.WithHealth(0, false).WithHealth(1, false).WithHealth(2, false).Choose([]));
    }

    [Fact]
    public void End_NotPlaced_ChangesNothing()
    {
        RouterState state = RouterState.Start([new Uri("http://a")]);
        Assert.Same(state, state.End(new RequestId("1")));
    }

    [Fact]
    public async Task Generate_OneCoordinatorDown_TheOtherAnswers()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        ScriptedServer closed = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient down = closed.Client(options => options with { MaxRetries = 0 });
        await closed.DisposeAsync();
        using LaminaClient up = server.Client();
        IActorRef router = Sys.ActorOf(InferenceRouter.Props([down, up], probeInterval: TimeSpan.FromHours(1)));
        for (int i = 0; i < 3; i++)
        {
            router.Tell(new InferenceCommands.Generate(new RequestId($"r{i}"), s_chat, int.MaxValue), TestActor);
            Assert.Equal(server.Address, (await ExpectMsgAsync<InferenceEvents.GenerationStarted>(TimeSpan.FromSeconds(120))).Endpoint);
            await ExpectMsgAsync<InferenceEvents.TokensGenerated>();
            await ExpectMsgAsync<InferenceEvents.GenerationCompleted>();
        }
    }

    [Fact]
    public async Task Generate_NoCoordinatorReady_Fails()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.ErrorAsync(context, 503, "model_not_ready"));
        using LaminaClient client = server.Client();
        IActorRef router = Sys.ActorOf(InferenceRouter.Props([client], probeInterval: TimeSpan.FromMilliseconds(50)));
        await AwaitConditionAsync(() => Task.FromResult(server.Requests.Count >= 2));
        router.Tell(new InferenceCommands.Generate(new RequestId("r"), s_chat, 1), TestActor);
        Assert.IsType<LaminaConnectionException>((await ExpectMsgAsync<InferenceEvents.GenerationFailed>()).Reason);
    }

    [Fact]
    public async Task Cancel_ThroughTheRouter_ReachesTheGeneration()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef router = Sys.ActorOf(InferenceRouter.Props([client], probeInterval: TimeSpan.FromHours(1)));
        router.Tell(new InferenceCommands.Generate(new RequestId("r"), s_chat, 0), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>();
        router.Tell(new InferenceCommands.Cancel(new RequestId("r")));
        Assert.Equal("cancelled", (await ExpectMsgAsync<InferenceEvents.GenerationCompleted>()).FinishReason);
    }

    [Fact]
    public async Task Hosting_WithLaminaClient_RegistersTheActor()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using IHost host = new HostBuilder()
            .ConfigureServices(services => services.AddAkka("client", akka => akka.WithLaminaClient(new LaminaClientOptions { Endpoint = server.Address })))
            .Build();
        await host.StartAsync();
        IActorRef actor = await host.Services.GetRequiredService<IRequiredActor<InferenceClient>>().GetAsync();
        actor.Tell(new InferenceCommands.Generate(new RequestId("r"), s_chat, 1), TestActor);
        await ExpectMsgAsync<InferenceEvents.GenerationStarted>(TimeSpan.FromSeconds(120));
        await host.StopAsync();
    }
}
