using System.Text;
using Akka.Actor;
using Akka.Event;

namespace Lamina.Client.Actors;

/// <summary>
/// One generation: reads chunk by chunk, and holds the first one with text that its subscriber has not asked for, reading nothing more until it does. Ends with the
/// subscriber. Whatever it reads comes back as a message to itself, so only the actor's own thread touches its fields.
/// </summary>
internal sealed class GenerationActor : ReceiveActor
{
    private readonly CancellationTokenSource _stop = new();
    private readonly IAsyncEnumerator<ChatChunk> _chunks;
    private readonly LaminaClient _client;
    private readonly IWithRequestId _command;
    private readonly IActorRef _subscriber;
    private readonly IActorRef? _router;
    private readonly IActorRef _parent = Context.Parent;
    private readonly SortedDictionary<int, (string Id, string Name, StringBuilder Arguments)> _calls = [];
    private Task _pull = Task.CompletedTask;
    private ChatChunk? _held;
    private int _demand;
    private string? _generation;
    private long _lastEvent;
    private string? _finishReason;
    private TokenUsage? _usage;
    private bool _started;
    private bool _ended;

    private GenerationActor(LaminaClient client, IWithRequestId command, IActorRef subscriber, IActorRef? router)
    {
        _client = client;
        _command = command;
        _subscriber = subscriber;
        _router = router;
        IAsyncEnumerable<ChatChunk> chunks;
        switch (command)
        {
            case InferenceCommands.Generate generate:
                chunks = client.StreamTracedChatAsync(generate.Chat, generate.Trace, _stop.Token);
                _demand = generate.Demand;
                break;
            case InferenceCommands.Resume resume:
                chunks = client.ResumeTracedChatAsync(resume.Generation, resume.After, resume.Trace, _stop.Token);
                (_demand, _generation, _lastEvent) = (resume.Demand, resume.Generation, resume.After);
                break;
            default:
                throw new ArgumentException($"no generation starts with {command.GetType().Name}", nameof(command));
        }

        _chunks = chunks.GetAsyncEnumerator(_stop.Token);
        Receive<Pulled>(OnPulled);
        Receive<Broken>(broken => OnBroken(broken.Cause));
        Receive<InferenceCommands.Demand>(demand =>
        {
            _demand = Add(_demand, Math.Max(0, demand.Count));
            if (_demand > 0 && _held is { } held)
            {
                _held = null;
                Deliver(held);
            }
        });
        Receive<InferenceCommands.Cancel>(_ => End(new InferenceEvents.GenerationCompleted(Request, "cancelled", null)));
        Receive<Terminated>(_ =>
        {
            _ended = true;
            Context.Stop(Self);
        });
    }

    private RequestId Request => _command.Request;

    public static Props Props(LaminaClient client, IWithRequestId command, IActorRef subscriber, IActorRef? router) =>
        Akka.Actor.Props.CreateBy(new Producer(client, command, subscriber, router));

    /// <summary>A sum that stays at "no limit" once there.</summary>
    public static int Add(int demand, int more) => (int)Math.Min(int.MaxValue, (long)demand + more);

    protected override void PreStart()
    {
        Context.Watch(_subscriber);
        Pull();
    }

    protected override void PostStop()
    {
        if (!_ended)
        {
            // Stopped by a bug or with the whole system; a subscriber that is itself gone does not mind.
            _subscriber.Tell(new InferenceEvents.GenerationFailed(Request, new LaminaException("the generation's actor was stopped"), _generation, _lastEvent));
        }

        _stop.Cancel();
        Task pull = _pull;
        IAsyncEnumerator<ChatChunk> chunks = _chunks;
        CancellationTokenSource stop = _stop;
        _ = Task.Run(async () =>
        {
            // An enumerator may be disposed of only when nobody is in it.
            await pull.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await chunks.DisposeAsync().ConfigureAwait(false);
            stop.Dispose();
        });
        _parent.Tell(new Ended(Request));
    }

    private void Pull() => _pull = PullAsync(_chunks, Self);

    private static async Task PullAsync(IAsyncEnumerator<ChatChunk> chunks, IActorRef self)
    {
        object result;
        try
        {
            result = new Pulled(await chunks.MoveNextAsync().ConfigureAwait(false) ? chunks.Current : null);
        }
        catch (Exception e)
        {
            result = new Broken(e);
        }

        self.Tell(result, ActorRefs.NoSender);
    }

    private void OnPulled(Pulled pulled)
    {
        if (pulled.Chunk is not { } chunk)
        {
            End(new InferenceEvents.GenerationCompleted(Request, _finishReason ?? "stop", _usage));
            return;
        }

        _generation = chunk.Id;
        if (!_started)
        {
            _started = true;
            _subscriber.Tell(new InferenceEvents.GenerationStarted(Request, chunk.Id, chunk.Model, _client.Options.Endpoint));
        }

        if (chunk.Text.Length > 0 && _demand == 0)
        {
            _held = chunk;
            return;
        }

        Deliver(chunk);
    }

    private void Deliver(ChatChunk chunk)
    {
        _lastEvent = chunk.EventNumber;
        _usage = chunk.Usage ?? _usage;
        if (chunk.Text.Length > 0)
        {
            _demand = _demand == int.MaxValue ? _demand : _demand - 1;
            _subscriber.Tell(new InferenceEvents.TokensGenerated(Request, chunk.Text, chunk.EventNumber));
        }

        foreach (ChatDelta choice in chunk.Choices.Where(choice => choice.Index == 0))
        {
            Take(choice);
        }

        Pull();
    }

    private void Take(ChatDelta choice)
    {
        foreach (ToolCallDelta piece in choice.Delta?.ToolCalls ?? [])
        {
            (string id, string name, StringBuilder arguments) = _calls.TryGetValue(piece.Index, out var call) ? call : ("", "", new StringBuilder());
            arguments.Append(piece.Function?.Arguments);
            _calls[piece.Index] = (piece.Id ?? id, piece.Function?.Name ?? name, arguments);
        }

        if (choice.FinishReason is { } reason)
        {
            _finishReason = reason;
            foreach ((string id, string name, StringBuilder arguments) in _calls.Values)
            {
                _subscriber.Tell(new InferenceEvents.ToolCallRequested(Request, new ToolCall(id, new FunctionCall(name, arguments.ToString()))));
            }

            _calls.Clear();
        }
    }

    private void OnBroken(Exception cause)
    {
        if (_router is not null && _generation is null && cause is LaminaConnectionException)
        {
            // Nothing has begun, so another coordinator may take it.
            _router.Tell(new Unreached(_command, _subscriber, (LaminaException)cause));
            _ended = true;
            Context.Stop(Self);
            return;
        }

        LaminaException reason = cause as LaminaException ?? new LaminaException($"the generation failed: {cause.Message}", null, cause);
        Context.GetLogger().Debug("generation {0} failed: {1}", Request, reason.GetType().Name);
        End(new InferenceEvents.GenerationFailed(Request, reason, _generation, _lastEvent));
    }

    private void End(object last)
    {
        _ended = true;
        _subscriber.Tell(last);
        Context.Stop(Self);
    }

    private sealed record Pulled(ChatChunk? Chunk) : INoSerializationVerificationNeeded;

    private sealed record Broken(Exception Cause) : INoSerializationVerificationNeeded;

    /// <summary>To the parent: the generation is over, however it went.</summary>
    internal sealed record Ended(RequestId Request) : INoSerializationVerificationNeeded;

    /// <summary>To the router: the coordinator could not be reached, and nothing has begun.</summary>
    internal sealed record Unreached(IWithRequestId Command, IActorRef Subscriber, LaminaException Reason) : INoSerializationVerificationNeeded;

    private sealed class Producer(LaminaClient client, IWithRequestId command, IActorRef subscriber, IActorRef? router) : IIndirectActorProducer
    {
        public Type ActorType => typeof(GenerationActor);

        public ActorBase Produce() => new GenerationActor(client, command, subscriber, router);

        public void Release(ActorBase actor)
        {
        }
    }
}
