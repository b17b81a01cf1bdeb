using Akka.Actor;
using Lamina.Cluster.Messages;
using Lamina.Node.Hosting;
using Microsoft.Extensions.Logging;

namespace Lamina.Node.Stages;

/// <summary>
/// <c>/user/node</c>: takes a coordinator's commands, owns one child per stage, and tells every coordinator that asked what becomes of them. Children are stopped when they fail,
/// never restarted: what they held is lost, and saying so is what lets the coordinator plan anew.
/// </summary>
internal sealed class NodeActor : ReceiveActor
{
    public const string Name = "node";

    private readonly StageServices _services;
    private readonly NodeSensors _sensors;
    private readonly NodeEvents.NodeDescribed _self;
    private readonly Dictionary<StageAddress, Child> _stages = [];
    private readonly Dictionary<DeploymentId, int> _newestEpochs = [];
    private readonly HashSet<IActorRef> _subscribers = [];
    private readonly TaskCompletionSource<string> _drained;
    private bool _leaving;

    /// <param name="self">What does not change of the node's description.</param>
    /// <param name="drained">Completed with the reason once a node that is to leave holds no stage any more, or has nowhere to put them.</param>
    public NodeActor(StageServices services, NodeEvents.NodeDescribed self, NodeSensors sensors, TaskCompletionSource<string> drained)
    {
        _services = services;
        _sensors = sensors;
        _self = self;
        _drained = drained;

        Receive<IWireMessage>(m => m.Tenant != services.Tenant && !IsChild(Sender), Refuse);
        Receive<NodeCommands.DescribeNode>(Describe);
        Receive<NodeCommands.RenewCertificate>(answer => TakeCertificate(answer.CertificatePem));
        Receive<NodeCommands.LoadStage>(Load);
        Receive<NodeCommands.ConnectStage>(Connect);
        Receive<NodeCommands.UnloadStage>(command => Unload(command.Address));
        Receive<NodeCommands.DrainNode>(_ => Drain());
        Receive<NodeCommands.LeaveNow>(_ => _leaving, command => _drained.TrySetResult(command.Reason));
        Receive<NodeEvents.StageProgress>(_ => IsChild(Sender), progress => Update(progress.Address, progress.Phase, progress));
        Receive<NodeEvents.StageLoaded>(_ => IsChild(Sender), loaded => Update(loaded.Address, StagePhase.Loaded, loaded));
        Receive<NodeEvents.StageReady>(_ => IsChild(Sender), ready => Update(ready.Address, StagePhase.Ready, ready));
        Receive<NodeEvents.StageFailed>(_ => IsChild(Sender), failed => Update(failed.Address, StagePhase.Stopped, failed));
        Receive<Terminated>(OnTerminated);
    }

    public static Props Props(StageServices services, NodeEvents.NodeDescribed self, NodeSensors sensors, TaskCompletionSource<string> drained) =>
        Akka.Actor.Props.Create(() => new NodeActor(services, self, sensors, drained));

    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(e =>
    {
        _services.Logger.LogError(e, "a stage's actor failed");
        return Directive.Stop;
    });

    private static bool IsChild(IActorRef sender) => sender.Path.Parent.Equals(Context.Self.Path);

    private void Refuse(IWireMessage message) =>
        _services.Logger.LogWarning("a {Message} of another tenant from {Sender} was ignored", message.GetType().Name, Sender.Path);

    private void Describe(NodeCommands.DescribeNode asked)
    {
        Subscribe();
        Sender.Tell(Description());
        if (asked.Renews && _services.Renewal?.Ask() is { } renewal)
        {
            Sender.Tell(new NodeEvents.RenewalRequested(_services.Tenant, _services.Node, renewal.CertificatePem, renewal.RequestPem));
        }
    }

    /// <summary>Two small files, twice a day.</summary>
    private void TakeCertificate(string pem)
    {
        try
        {
            _services.Renewal?.Take(pem);
            _services.Logger.LogInformation("the certificate was renewed and is good until {End:u}", _services.Certificates.NotAfter);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            _services.Logger.LogWarning("the certificate, which ends at {End:u}, was not renewed: {Problem}", _services.Certificates.NotAfter, e.Message);
        }
    }

    private NodeEvents.NodeDescribed Description()
    {
        StageStatus[] stages = [.. _stages.Values.Select(child => child.Status(_services.Registry))];
        return _self with
        {
            MemoryUsedBytes = _services.Memory.Used,
            Stages = stages,
            Leaving = _leaving,
            CpuShare = _sensors.CpuShare(_self.Cores),
            DeviceShare = _sensors.Device?.Utilisation,
            TemperatureCelsius = _sensors.TemperatureCelsius,
            CertificateEnds = _services.Certificates.NotAfter.ToUnixTimeSeconds(),
        };
    }

    /// <summary>The coordinators are told at once; they place what is here elsewhere and then unload it.</summary>
    private void Drain()
    {
        if (!_leaving)
        {
            _leaving = true;
            _services.Logger.LogInformation("node {Node} is leaving: {Stages} stages are to be placed elsewhere", _services.Node, _stages.Count);
            Publish(Description());
        }

        CheckDrained();
    }

    private void CheckDrained()
    {
        if (_leaving && _stages.Count == 0)
        {
            _drained.TrySetResult("it holds no stage any more");
        }
        else if (_leaving && _subscribers.Count == 0)
        {
            _drained.TrySetResult("no coordinator is there to place its stages elsewhere");
        }
    }

    private void Load(NodeCommands.LoadStage plan)
    {
        Subscribe();
        int newest = _newestEpochs.GetValueOrDefault(plan.Address.Deployment);
        if (plan.Address.Epoch < newest)
        {
            Sender.Tell(new NodeEvents.StageFailed(_services.Tenant, plan.Address, _services.Node, StageFailure.Superseded, $"epoch {plan.Address.Epoch} is older than {newest}"));
            return;
        }

        if (_leaving && !_stages.ContainsKey(plan.Address))
        {
            Sender.Tell(new NodeEvents.StageFailed(_services.Tenant, plan.Address, _services.Node, StageFailure.Refused, "the node is leaving"));
            return;
        }

        _newestEpochs[plan.Address.Deployment] = plan.Address.Epoch;
        if (!_stages.TryGetValue(plan.Address, out Child? child))
        {
            child = new Child(plan, Context.Watch(Context.ActorOf(StageActor.Props(plan, _services))));
            _stages.Add(plan.Address, child);
            _services.Logger.LogInformation("stage {Stage}: layers {First} to {Last} are to be loaded", plan.Address, plan.FirstLayer, plan.EndLayer - 1);
        }
        else
        {
            child.Actor.Tell(plan);
        }
    }

    private void Connect(NodeCommands.ConnectStage command)
    {
        Subscribe();
        if (_stages.TryGetValue(command.Address, out Child? child))
        {
            child.Actor.Tell(command);
        }
        else
        {
            Sender.Tell(new NodeEvents.StageFailed(_services.Tenant, command.Address, _services.Node, StageFailure.NotFound, $"stage {command.Address} is not on this node"));
        }
    }

    private void Unload(StageAddress address)
    {
        if (_stages.TryGetValue(address, out Child? child))
        {
            child.IsOver = true;
            _services.Memory.Leave(address);
            child.Actor.Tell(new NodeCommands.UnloadStage(_services.Tenant, address));
        }
    }

    private void Update(StageAddress address, StagePhase phase, IWireMessage report)
    {
        if (_stages.TryGetValue(address, out Child? child) && child.Actor.Equals(Sender))
        {
            child.Phase = phase;
            if (phase == StagePhase.Stopped)
            {
                child.IsOver = true;
                _services.Memory.Leave(address);
            }

            Publish(report);
        }
    }

    private void OnTerminated(Terminated terminated)
    {
        _subscribers.Remove(terminated.ActorRef);
        foreach (Child child in _stages.Values.Where(c => c.Actor.Equals(terminated.ActorRef)).ToArray())
        {
            _stages.Remove(child.Plan.Address);
            if (!child.IsOver)
            {
                Publish(new NodeEvents.StageFailed(_services.Tenant, child.Plan.Address, _services.Node, StageFailure.Internal, "the stage's actor failed"));
            }
        }

        CheckDrained();
    }

    private void Publish(IWireMessage report)
    {
        foreach (IActorRef subscriber in _subscribers)
        {
            subscriber.Tell(report);
        }
    }

    private void Subscribe()
    {
        if (!Sender.IsNobody() && _subscribers.Add(Sender))
        {
            Context.Watch(Sender);
        }
    }

    private sealed class Child(NodeCommands.LoadStage plan, IActorRef actor)
    {
        private TimeSpan _busy;
        private TimeSpan _age;

        public NodeCommands.LoadStage Plan { get; } = plan;
        public IActorRef Actor { get; } = actor;
        public StagePhase Phase { get; set; }

        /// <summary>Its end was asked for or has been reported.</summary>
        public bool IsOver { get; set; }

        /// <summary>Its busy share is that since it was described last.</summary>
        public StageStatus Status(StageRegistry registry)
        {
            StageUnit? unit = registry.Units.FirstOrDefault(u => u.Plan.Address == Plan.Address);
            TimeSpan busy = unit?.Meter.Busy ?? default;
            TimeSpan age = unit?.Meter.Age ?? default;
            double share = age > _age ? (busy - _busy) / (age - _age) : 0;
            (_busy, _age) = (busy, age);
            return new StageStatus(
                Plan.Address, Phase, Plan.FirstLayer, Plan.EndLayer, unit?.MemoryBytes ?? 0, share, unit?.Queued ?? 0, unit?.LinkRoundTrip.TotalSeconds ?? 0);
        }
    }
}
