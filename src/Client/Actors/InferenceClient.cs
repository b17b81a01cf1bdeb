using Akka.Actor;

namespace Lamina.Client.Actors;

/// <summary>
/// Runs the generations of one coordinator, each in a child of its own; those above the limit wait. A child that fails by a bug is stopped and its subscriber told,
/// never restarted: its connection is gone.
/// </summary>
public sealed class InferenceClient : ReceiveActor
{
    /// <summary>Generations at once when nothing else is said.</summary>
    public const int DefaultConcurrency = 256;

    private readonly LaminaClient _client;
    private readonly IActorRef? _router;
    private readonly int _concurrency;
    private readonly Dictionary<RequestId, IActorRef> _running = [];
    private readonly LinkedList<(IWithRequestId Command, IActorRef Subscriber)> _waiting = [];

    private InferenceClient(LaminaClient client, int concurrency, IActorRef? router)
    {
        _client = client;
        _concurrency = concurrency;
        _router = router;
        Receive<InferenceCommands.Generate>(generate => Take(generate, generate.Subscriber ?? Sender));
        Receive<InferenceCommands.Resume>(resume => Take(resume, resume.Subscriber ?? Sender));
        Receive<InferenceCommands.Demand>(demand => Forward(demand));
        Receive<InferenceCommands.Cancel>(Cancel);
        Receive<GenerationActor.Ended>(ended => OnEnded(ended.Request));
    }

    /// <summary>An actor over a client that stays its maker's.</summary>
    /// <param name="concurrency">Generations at once; further ones wait in order.</param>
    public static Props Props(LaminaClient client, int concurrency = DefaultConcurrency) => Props(client, concurrency, null);

    /// <param name="router">Told when a generation ends, and when one could not be started because the coordinator cannot be reached.</param>
    internal static Props Props(LaminaClient client, int concurrency, IActorRef? router) =>
        Akka.Actor.Props.CreateBy(new Producer(client, concurrency, router));

    /// <inheritdoc/>
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Stop);

    private void Take(IWithRequestId command, IActorRef subscriber)
    {
        if (_running.ContainsKey(command.Request) || _waiting.Any(waiting => waiting.Command.Request == command.Request))
        {
            subscriber.Tell(new InferenceEvents.GenerationFailed(command.Request, new LaminaException($"a generation named '{command.Request}' is running already"), null, 0));
            return;
        }

        _waiting.AddLast((command, subscriber));
        StartWaiting();
    }

    private void StartWaiting()
    {
        while (_running.Count < _concurrency && _waiting.First is { Value: var (command, subscriber) })
        {
            _waiting.RemoveFirst();
            _running[command.Request] = Context.ActorOf(GenerationActor.Props(_client, command, subscriber, _router));
        }
    }

    private void Forward(IWithRequestId message)
    {
        if (_running.TryGetValue(message.Request, out IActorRef? generation))
        {
            generation.Forward(message);
        }
        else if (message is InferenceCommands.Demand demand && FindWaiting(demand.Request) is { } waiting)
        {
            waiting.Value = (waiting.Value.Command switch
            {
                InferenceCommands.Generate generate => generate with { Demand = GenerationActor.Add(generate.Demand, demand.Count) },
                InferenceCommands.Resume resume => resume with { Demand = GenerationActor.Add(resume.Demand, demand.Count) },
                _ => waiting.Value.Command,
            }, waiting.Value.Subscriber);
        }
    }

    private void Cancel(InferenceCommands.Cancel cancel)
    {
        if (FindWaiting(cancel.Request) is { } waiting)
        {
            _waiting.Remove(waiting);
            waiting.Value.Subscriber.Tell(new InferenceEvents.GenerationCompleted(cancel.Request, "cancelled", null));
            _router?.Tell(new GenerationActor.Ended(cancel.Request));
            return;
        }

        Forward(cancel);
    }

    private void OnEnded(RequestId request)
    {
        _running.Remove(request);
        _router?.Tell(new GenerationActor.Ended(request));
        StartWaiting();
    }

    private LinkedListNode<(IWithRequestId Command, IActorRef Subscriber)>? FindWaiting(RequestId request)
    {
        LinkedListNode<(IWithRequestId Command, IActorRef Subscriber)>? node = _waiting.First;
        while (node is not null && node.Value.Command.Request != request)
        {
            node = node.Next;
        }

        return node;
    }

    private sealed class Producer(LaminaClient client, int concurrency, IActorRef? router) : IIndirectActorProducer
    {
        public Type ActorType => typeof(InferenceClient);

        public ActorBase Produce() => new InferenceClient(client, concurrency, router);

        public void Release(ActorBase actor)
        {
        }
    }
}
