using System.Diagnostics;
using Akka.Actor;
using Akka.TestKit.Xunit;
using Lamina.Client.Actors;
using Lamina.Client.Tests.Support;

namespace Lamina.Client.Tests;

/// <summary>Every request of a generation carries the context of the generation's span, which belongs to whoever asked for it.</summary>
public sealed class TraceTests : TestKit
{
    private static readonly ChatRequest s_chat = new() { Model = "m", Messages = [Message.User("hello")] };
    private static readonly string[] s_events = [.. "abcdefgh".Select(c => ScriptedServer.Chunk(c.ToString())), ScriptedServer.Chunk(null, "stop"), ScriptedServer.UsageChunk];

    private readonly ActivitySource _source = new("test " + Guid.NewGuid());
    private readonly List<Activity> _ended = [];
    private readonly ActivityListener _listener;

    public TraceTests() : base(TestActors.Patient)
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "Lamina.Client" or "System.Net.Http" || source == _source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                lock (_ended)
                {
                    _ended.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    [Fact]
    public async Task CompleteChat_UnderASpan_IsItsChildAndTheRequestIsTheChilds()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(
            context, """{"id":"gen-1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"""));
        using LaminaClient client = server.Client();
        using Activity asked = _source.StartActivity("asked")!;
        await client.CompleteChatAsync(s_chat);
        Activity span = Span("chat m", asked);
        AssertCarries(span, server.Requests.Single());
        Assert.Equal((3, 4), (span.GetTagItem("gen_ai.usage.input_tokens"), span.GetTagItem("gen_ai.usage.output_tokens")));
    }

    [Fact]
    public async Task StreamChat_OverManyConnectionsReadUnderOtherSpans_StaysInItsOwn()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => 3).AnswerAsync);
        using LaminaClient client = server.Client(options => options with { MaxRetries = 2 });
        using Activity asked = _source.StartActivity("asked")!;
        await foreach (ChatChunk _ in client.StreamChatAsync(s_chat))
        {
            // What the caller does with a chunk is no part of the generation.
            _source.StartActivity("used");
        }

        Activity span = Span("chat m", asked);
        Assert.True(server.Requests.Count >= 4);
        Assert.All(server.Requests, request => AssertCarries(span, request));
    }

    [Fact]
    public async Task Generate_ThroughTheActors_BelongsToTheTraceOfItsCommand()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync(new ScriptedGeneration(s_events, _ => null).AnswerAsync);
        using LaminaClient client = server.Client();
        IActorRef actor = Sys.ActorOf(InferenceClient.Props(client));
        using Activity asked = _source.StartActivity("asked")!;
        actor.Tell(new InferenceCommands.Generate(new RequestId("r1"), s_chat, int.MaxValue), TestActor);
        await FishForMessageAsync(message => message is InferenceEvents.GenerationCompleted);
        Activity? span = null;
        await AwaitConditionAsync(() => Task.FromResult((span = Find("chat m", asked)) is not null));
        AssertCarries(span!, server.Requests.First());
    }

    [Fact]
    public async Task Embed_UnderASpan_CarriesItsContext()
    {
        await using ScriptedServer server = await ScriptedServer.StartAsync((context, _) => ScriptedServer.JsonAsync(context, """{"model":"m","data":[{"index":0,"embedding":[1,0]}]}"""));
        using LaminaClient client = server.Client();
        using Activity asked = _source.StartActivity("asked")!;
        await client.EmbedAsync(new EmbeddingRequest { Model = "m", Input = ["text"] });
        AssertCarries(Span("embeddings m", asked), server.Requests.Single());
    }

    protected override void AfterAll()
    {
        _listener.Dispose();
        _source.Dispose();
        base.AfterAll();
    }

    /// <summary>The request names a span of .NET's own for the request itself, whose parent is the generation's.</summary>
    private void AssertCarries(Activity span, SeenRequest request)
    {
        string[] parts = request.TraceParent!.Split('-');
        Assert.Equal(span.TraceId.ToString(), parts[1]);
        lock (_ended)
        {
            Assert.Equal(span.SpanId, _ended.Single(activity => activity.SpanId.ToString() == parts[2]).ParentSpanId);
        }
    }

    private Activity Span(string name, Activity parent) => Find(name, parent) ?? throw new InvalidOperationException($"no span '{name}' under '{parent.DisplayName}'");

    private Activity? Find(string name, Activity parent)
    {
        lock (_ended)
        {
            return _ended.SingleOrDefault(activity => activity.DisplayName == name && activity.ParentSpanId == parent.SpanId && activity.TraceId == parent.TraceId);
        }
    }
}
