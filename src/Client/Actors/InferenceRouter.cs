using System.Collections.Immutable;
using Akka.Actor;

namespace Lamina.Client.Actors;

/// <summary>
/// Spreads generations over several coordinators: each new one goes to the healthy coordinator that has the fewest. Health is probed on a timer and lost at once when a
/// coordinator cannot be reached; a generation that had not begun there is tried at the next. Takes the same commands as <see cref="InferenceClient"/>.
/// </summary>
public sealed class InferenceRouter : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan s_probeLimit = TimeSpan.FromSeconds(2);

    private readonly IReadOnlyList<LaminaClient> _clients;
    private readonly TimeSpan _probeInterval;
    private readonly IActorRef[] _children;
    private readonly Dictionary<RequestId, ImmutableHashSet<int>> _tried = [];
    private RouterState _state;

    private InferenceRouter(IReadOnlyList<LaminaClient> clients, int concurrency, TimeSpan probeInterval)
    {
        _clients = clients;
        _probeInterval = probeInterval;
        _state = RouterState.Start(clients.Select(client => client.Options.Endpoint));
        _children = [.. clients.Select((client, i) => Context.ActorOf(InferenceClient.Props(client, concurrency, Self), $"coordinator-{i}"))];
        Receive<InferenceCommands.Generate>(generate => Start(generate with { Subscriber = generate.Subscriber ?? Sender }));
        Receive<InferenceCommands.Resume>(Resume);
        Receive<InferenceCommands.Demand>(Forward);
        Receive<InferenceCommands.Cancel>(Forward);
        Receive<GenerationActor.Ended>(OnEnded);
        Receive<GenerationActor.Unreached>(OnUnreached);
        Receive<Probe>(_ => ProbeAll());
        Receive<Probed>(probed => _state = _state.WithHealth(probed.Coordinator, probed.Ready));
    }

    /// <inheritdoc/>
    public ITimerScheduler Timers { get; set; } = null!;

    /// <param name="clients">One per coordinator, at least one; they stay their maker's.</param>
    /// <param name="concurrency">Generations at once per coordinator; further ones wait in order.</param>
    /// <param name="probeInterval">How often readiness is asked; null: every two seconds.</param>
    public static Props Props(IReadOnlyList<LaminaClient> clients, int concurrency = InferenceClient.DefaultConcurrency, TimeSpan? probeInterval = null) =>
        clients.Count > 0
            ? Akka.Actor.Props.CreateBy(new Producer(clients, concurrency, probeInterval ?? TimeSpan.FromSeconds(2)))
            : throw new ArgumentException("a router needs at least one coordinator", nameof(clients));

    /// <inheritdoc/>
    protected override void PreStart() => Timers.StartPeriodicTimer(Probe.Instance, Probe.Instance, TimeSpan.Zero, _probeInterval);

    private void Start(InferenceCommands.Generate generate)
    {
        ImmutableHashSet<int> tried = _tried.GetValueOrDefault(generate.Request, []);
        if (_state.Choose(tried) is not int coordinator)
        {
            Fail(generate, generate.Subscriber!, new LaminaConnectionException("no coordinator is ready"));
            return;
        }

        _tried[generate.Request] = tried.Add(coordinator);
        _state = _state.Place(generate.Request, coordinator);
        _children[coordinator].Tell(generate);
    }

    /// <summary>A generation lives where it began.</summary>
    private void Resume(InferenceCommands.Resume resume)
    {
        IActorRef subscriber = resume.Subscriber ?? Sender;
        if (_state.Find(resume.Endpoint) is not int coordinator)
        {
            Fail(resume, subscriber, new LaminaException($"no coordinator of this router is at '{resume.Endpoint}'"));
            return;
        }

        _state = _state.Place(resume.Request, coordinator);
        _children[coordinator].Tell(resume with { Subscriber = subscriber });
    }

    private void Forward(IWithRequestId message)
    {
        if (_state.Placed.TryGetValue(message.Request, out int coordinator))
        {
            _children[coordinator].Forward(message);
        }
    }

    private void OnUnreached(GenerationActor.Unreached unreached)
    {
        if (_state.Placed.TryGetValue(unreached.Command.Request, out int coordinator))
        {
            _state = _state.WithHealth(coordinator, false).End(unreached.Command.Request);
        }

        if (unreached.Command is InferenceCommands.Generate generate && _state.Choose(_tried.GetValueOrDefault(generate.Request, [])) is not null)
        {
            Start(generate with { Subscriber = unreached.Subscriber });
            return;
        }

        Fail(unreached.Command, unreached.Subscriber, unreached.Reason);
    }

    private void OnEnded(GenerationActor.Ended ended)
    {
        // The child that could not reach its coordinator ends too, after the generation was placed elsewhere.
        if (_state.Placed.TryGetValue(ended.Request, out int coordinator) && Sender.Equals(_children[coordinator]))
        {
            _state = _state.End(ended.Request);
            _tried.Remove(ended.Request);
        }
    }

    private void Fail(IWithRequestId command, IActorRef subscriber, LaminaException reason)
    {
        _tried.Remove(command.Request);
        subscriber.Tell(new InferenceEvents.GenerationFailed(command.Request, reason, null, 0));
    }

    private void ProbeAll()
    {
        for (int i = 0; i < _clients.Count; i++)
        {
            int coordinator = i;
            _clients[i].IsReadyAsync(s_probeLimit).PipeTo(Self, success: ready => new Probed(coordinator, ready), failure: _ => new Probed(coordinator, false));
        }
    }

    private sealed record Probe : INoSerializationVerificationNeeded
    {
        public static readonly Probe Instance = new();
    }

    private sealed record Probed(int Coordinator, bool Ready) : INoSerializationVerificationNeeded;

    private sealed class Producer(IReadOnlyList<LaminaClient> clients, int concurrency, TimeSpan probeInterval) : IIndirectActorProducer
    {
        public Type ActorType => typeof(InferenceRouter);

        public ActorBase Produce() => new InferenceRouter(clients, concurrency, probeInterval);

        public void Release(ActorBase actor)
        {
        }
    }
}
