using Akka.Actor;
using Akka.Cluster;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Planning;
using Microsoft.Extensions.Logging;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// The sharded entity of one deployment, its owner: turns messages into events of <see cref="DeploymentState"/>, does what that asks for, and shows every coordinator what it
/// has come to. After its coordinator's death it begins at another with what was shown last: what serves goes on serving.
/// </summary>
internal sealed class DeploymentActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan s_stallCheck = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_stallLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(1);

    /// <summary>How long a new owner waits for the others' knowledge, and for nodes to be known again.</summary>
    private static readonly TimeSpan s_settling = TimeSpan.FromSeconds(3);

    private readonly CellContext _cell;
    private readonly DeploymentId _id;
    private readonly IActorRef _registry;
    private readonly GenerationRouter _router;
    private readonly IActorRef _self;
    private readonly DeploymentShow _show;
    private readonly long _bornAt = Environment.TickCount64;
    private readonly HashSet<Address> _heard = [];
    private readonly Dictionary<Address, (string? Text, bool Refused)> _problems = [];
    private readonly Dictionary<int, HashSet<Address>> _drained = [];
    private readonly SortedSet<string> _sources = new(StringComparer.Ordinal);
    private DeploymentProtocol.DeploymentShown? _known;
    private DeploymentSettings? _settings;
    private DeploymentState? _state;
    private ModelOffer? _offer;

    /// <summary>The model that a roll changes to, or is about to.</summary>
    private ModelOffer? _next;
    private IReadOnlyList<NodeView> _nodes = [];
    private bool _resumed;
    private long _lastMove = Environment.TickCount64;

    private sealed record CheckStall : INoSerializationVerificationNeeded
    {
        public static readonly CheckStall Instance = new();
    }

    private sealed record Heartbeat : INoSerializationVerificationNeeded
    {
        public static readonly Heartbeat Instance = new();
    }

    private sealed record Settled : INoSerializationVerificationNeeded
    {
        public static readonly Settled Instance = new();
    }

    private sealed record ProbeNow : INoSerializationVerificationNeeded
    {
        public static readonly ProbeNow Instance = new();
    }

    private sealed record HeadsDialled(int Epoch, IReadOnlyList<HeadLink> Links) : INoSerializationVerificationNeeded;

    private sealed record OwnDrained(int Epoch) : INoSerializationVerificationNeeded;

    public DeploymentActor(CellContext cell, DeploymentId id, IActorRef registry)
    {
        _cell = cell;
        _id = id;
        _registry = registry;
        _router = cell.RouterOf(id);
        _self = Self;
        _show = new DeploymentShow(Context.System, cell);

        Receive<DeploymentProtocol.KeepDeployment>(keep => keep.Tenant == cell.Tenant, OnKeep);
        Receive<DeploymentProtocol.EpochDrained>(drained => drained.Tenant == cell.Tenant, drained => OnDrained(drained.Epoch, AddressOf(Sender)));
        Receive<DeploymentProtocol.ReplanDeployment>(replan => replan.Tenant == cell.Tenant, OnReplan);
        Receive<OwnDrained>(drained => OnDrained(drained.Epoch, AkkaCluster.Get(Context.System).SelfAddress));
        Receive<NodeRegistryActor.NodeTable>(table => OnNodes(table.Nodes));
        Receive<Settled>(_ => OnSettled());
        Receive<Heartbeat>(_ => OnHeartbeat());
        Receive<DeploymentEvent>(Apply);
        Receive<HeadsDialled>(OnHeadsDialled);
        Receive<NodeRegistryActor.NodesProbed>(probed => Apply(new DeploymentEvent.NodesProbed(probed.Nodes)));
        Receive<NodeEvents.StageProgress>(e => Apply(new DeploymentEvent.StageProgressed(e.Address, e.Node, e.Phase, e.DoneBytes, e.TotalBytes)));
        Receive<NodeEvents.StageLoaded>(e => Apply(new DeploymentEvent.StageLoaded(e.Address, e.Node, e.MemoryBytes)));
        Receive<NodeEvents.StageReady>(e => Apply(new DeploymentEvent.StageReady(e.Address, e.Node)));
        Receive<NodeEvents.StageFailed>(e => Apply(new DeploymentEvent.StageFailed(e.Address, e.Node, e.Failure, e.Reason)));
        Receive<ProbeNow>(_ => _registry.Tell(new NodeRegistryActor.ProbeNodes()));
        Receive<CheckStall>(_ => OnCheckStall());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        _cell.Owned[_id] = true;
        Timers.StartPeriodicTimer(nameof(CheckStall), CheckStall.Instance, s_stallCheck);
        Timers.StartPeriodicTimer(nameof(Heartbeat), Heartbeat.Instance, s_heartbeat);
        Timers.StartSingleTimer(nameof(Settled), Settled.Instance, s_settling);
    }

    protected override void PostStop() => _cell.Owned.TryRemove(_id, out _);

    private Address AddressOf(IActorRef actor) => actor.Path.Address.HasLocalScope ? AkkaCluster.Get(Context.System).SelfAddress : actor.Path.Address;

    private void OnKeep(DeploymentProtocol.KeepDeployment keep)
    {
        Address from = AddressOf(Sender);
        _settings ??= keep.Settings;
        _heard.Add(from);
        if (keep.Known is { } known && known.Version > (_known?.Version ?? 0))
        {
            _known = known;
        }

        _problems[from] = keep.Model is null ? (keep.Problem, keep.Refused) : default;
        if (keep.Model is { } model && (_offer is null || _offer.Digest == model.Digest))
        {
            _offer ??= model;
            _sources.Add(model.Blobs.ToString());
        }

        TryBegin(late: false);
        if (_state is not null)
        {
            if (_state.Model is null && keep.ImportBytes > 0)
            {
                Apply(new DeploymentEvent.ImportProgressed(keep.ImportedBytes, keep.ImportBytes));
            }

            TakeModel();
        }
    }

    /// <summary>The last owner's knowledge may lie with any coordinator: each is heard before anything is decided, within bounds.</summary>
    private void TryBegin(bool late)
    {
        DeploymentProtocol.DeploymentShown? shown = _cell.Shown.GetValueOrDefault(_id);
        if (_state is not null || _settings is null || (!late && shown is null && !Coordinators().All(_heard.Contains)))
        {
            return;
        }

        shown = shown?.Version >= (_known?.Version ?? 0) ? shown : _known;
        _show.ContinueAfter(shown?.Version ?? 0);
        _offer = shown?.Model ?? _offer;
        _next = shown?.Next;
        _resumed = shown?.Epochs.Any(epoch => epoch.Role == EpochRole.Serving) == true;
        _settings = shown?.Settings ?? _settings;
        _state = shown is null ? DeploymentState.Begin(DeploymentWire.Spec(_cell.Tenant, _id, _settings)) : DeploymentWire.Resume(shown);
        if (_resumed)
        {
            _cell.Logger.LogInformation("deployment {Deployment} epoch {Epoch}: its coordinator is gone; this one goes on with it", _id, _state.LastEpoch);
        }

        foreach (EpochState standing in _state.Standing)
        {
            Do(new DeploymentEffect.OpenHeads(standing.Epoch, [.. standing.Heads]));
        }

        foreach (EpochState retiring in _state.Retiring)
        {
            Do(new DeploymentEffect.Drain(retiring.Epoch));
        }

        Timers.StartSingleTimer(nameof(Settled), Settled.Instance, s_settling);
        _registry.Tell(new NodeRegistryActor.Subscribe(_id));
        TakeModel();
        Publish();
    }

    private void OnSettled()
    {
        TryBegin(late: true);
        if (_resumed)
        {
            _resumed = false;
            Apply(new DeploymentEvent.NodesSeen(_nodes));
        }
    }

    /// <summary>A new owner's registry may know the nodes a moment later than it knows of the plan that stands on them.</summary>
    private void OnNodes(IReadOnlyList<NodeView> nodes)
    {
        _nodes = nodes;
        var table = nodes.ToDictionary(node => node.Name);
        if (!_resumed || _state!.Standing.All(standing => standing.MissingNode(table) is null))
        {
            _resumed = false;
            Apply(new DeploymentEvent.NodesSeen(nodes));
        }
    }

    /// <summary>Without the vocabulary and shape of a changed model this owner does not hear: every coordinator gets them of what is shown, and the ask comes again.</summary>
    private void OnReplan(DeploymentProtocol.ReplanDeployment replan)
    {
        if (replan.Model is not { } changed || changed.Digest == _offer?.Digest)
        {
            Apply(new DeploymentEvent.ReplanAsked(replan.Roll, replan.Ask));
            return;
        }

        if (_state is null || _state.Heard.Contains(replan.Ask) || _state.NextDigest is not null)
        {
            return;
        }

        _next = changed;
        Publish();
        if (FactsOf(changed) is { } facts)
        {
            Apply(new DeploymentEvent.ReplanAsked(replan.Roll, replan.Ask, facts));
        }
    }

    private ModelFacts? FactsOf(ModelOffer offer) =>
        _cell.Board.FindModel(_id.Value, offer.Digest) is { } model ? DeploymentWire.Facts(offer, model, _state!.Spec, [offer.Blobs]) : null;

    /// <summary>The deployment is of the changed model from now on, or stays as it was.</summary>
    private void EndChange(bool wasAsked)
    {
        if (_next is null || _state!.NextDigest is not null)
        {
            return;
        }

        if (_state.Model?.Digest == _next.Digest)
        {
            _cell.Logger.LogInformation("deployment {Deployment} serves model {Digest} from now on, in place of {Old}", _id, _next.Digest, _offer?.Digest);
            _offer = _next;
            _sources.Clear();
            _sources.Add(_offer.Blobs.ToString());
            _next = null;
        }
        else if (wasAsked)
        {
            _cell.Logger.LogWarning("deployment {Deployment} stays with model {Digest}: {Next} was not taken: {Problem}", _id, _offer?.Digest, _next.Digest, _state.Problem);
            _next = null;
        }
    }

    private void TakeModel()
    {
        if (_next is not null && _state!.NextDigest == _next.Digest && _state.Next is null && FactsOf(_next) is { } next)
        {
            Apply(new DeploymentEvent.NextKnown(next));
        }

        if (_offer is null)
        {
            if (_state!.Model is null && !_state.GaveUp && _problems.Count > 0 && Coordinators().All(c => _problems.GetValueOrDefault(c).Text is not null))
            {
                // A refusal says more than that another coordinator has no file.
                (string? text, bool refused) = _problems.Values.Where(problem => problem.Text is not null).OrderByDescending(problem => problem.Refused).First();
                Apply(new DeploymentEvent.ImportFailed(text!, refused));
            }

            return;
        }

        if (_state!.Model is null && !_state.GaveUp && _cell.Board.FindModel(_id.Value) is null && _problems.GetValueOrDefault(AkkaCluster.Get(Context.System).SelfAddress) is (string refusal, true))
        {
            Apply(new DeploymentEvent.ImportFailed(refusal, Refused: true));
            return;
        }

        Endpoint[] sources = [.. _sources.Select(Endpoint.Parse)];
        if (_cell.Board.FindModel(_id.Value) is { } model && model.Stored.Digest.ToString() == _offer.Digest && _state!.Model?.Sources.SequenceEqual(sources) != true)
        {
            Apply(new DeploymentEvent.ModelImported(DeploymentWire.Facts(_offer, model, _state!.Spec, sources)));
        }
    }

    private void Apply(DeploymentEvent happened)
    {
        if (_state is null || _cell.IsEnding)
        {
            return;
        }

        DeploymentPhase before = _state.Phase;
        bool wasChanging = _state.NextDigest is not null || happened is DeploymentEvent.ReplanAsked { Next: not null };
        (_state, IReadOnlyList<DeploymentEffect> effects) = _state.Apply(happened);
        _lastMove = happened is DeploymentEvent.NodesSeen ? _lastMove : Environment.TickCount64;
        foreach (DeploymentEffect effect in effects)
        {
            Do(effect);
        }

        EndChange(wasChanging);
        Publish();
        if (_state.Phase != before)
        {
            _cell.Logger.LogInformation("deployment {Deployment} epoch {Epoch}: {Phase} {Problem}", _id, _state.LastEpoch, _state.Phase, _state.Problem);
        }
    }

    private void Do(DeploymentEffect effect)
    {
        switch (effect)
        {
            case DeploymentEffect.Tell tell:
                _registry.Tell(new NodeRegistryActor.SendToNode(tell.Node, tell.Command));
                break;
            case DeploymentEffect.OpenHeads open when _router.OpenHeads(open.Epoch) is { } links:
                _self.Tell(new HeadsDialled(open.Epoch, links));
                break;
            case DeploymentEffect.OpenHeads open:
                LogPlan();
                _cell.OpenHeadsAsync(open.Heads, warmUp: true, _state?.Model?.IsEncoder ?? false).PipeTo(
                    _self,
                    success: links => new HeadsDialled(open.Epoch, links),
                    failure: e => new DeploymentEvent.HeadsFailed(open.Epoch, e is LinkClosedException ? e.Message : $"opening the head failed: {e.Message}"));
                break;
            case DeploymentEffect.Serve serve:
                _router.Serve(serve.Epoch);
                break;
            case DeploymentEffect.UseModel use:
                _cell.Board.Use(_id.Value, use.Digest);
                break;
            case DeploymentEffect.StopServing stop:
                _router.Stop(stop.Epoch);
                break;
            case DeploymentEffect.Drain drain:
                _drained[drain.Epoch] = [];
                _router.DrainAsync(drain.Epoch, _cell.IsLeaving(_state?.Retiring.Find(old => old.Epoch == drain.Epoch)), _cell.Stopping).PipeTo(_self, success: () => new OwnDrained(drain.Epoch));
                break;
            case DeploymentEffect.Probe probe when probe.Delay > TimeSpan.Zero:
                Timers.StartSingleTimer(nameof(ProbeNow), ProbeNow.Instance, probe.Delay);
                break;
            case DeploymentEffect.Probe:
                _registry.Tell(new NodeRegistryActor.ProbeNodes());
                break;
        }
    }

    private void OnHeadsDialled(HeadsDialled dialled)
    {
        if (_state?.IsOpening(dialled.Epoch) != true)
        {
            foreach (HeadLink link in dialled.Links)
            {
                link.Dispose();
            }

            return;
        }

        _router.Add(dialled.Epoch, dialled.Links, _state.DigestOf(dialled.Epoch));
        Apply(new DeploymentEvent.HeadsOpened(dialled.Epoch));
        foreach (HeadLink link in dialled.Links)
        {
            link.Closed.PipeTo(_self, success: reason => new DeploymentEvent.HeadLost(dialled.Epoch, $"the link to the head closed: {reason}"));
        }
    }

    /// <summary>An epoch has drained once it has at every coordinator that still counts.</summary>
    private void OnDrained(int epoch, Address coordinator)
    {
        if (_drained.TryGetValue(epoch, out HashSet<Address>? drained) && drained.Add(coordinator))
        {
            CheckDrained();
        }
    }

    private void CheckDrained()
    {
        foreach (int epoch in _drained.Where(drained => Coordinators().All(drained.Value.Contains)).Select(drained => drained.Key).ToArray())
        {
            _drained.Remove(epoch);
            Apply(new DeploymentEvent.Drained(epoch));
        }
    }

    private void OnCheckStall()
    {
        // Answered with the nodes as they described themselves last: what they hold beside the plan is swept away.
        _registry.Tell(new NodeRegistryActor.Subscribe(_id));
        if (_state?.Building is { } building && Environment.TickCount64 - _lastMove > s_stallLimit.TotalMilliseconds)
        {
            Apply(new DeploymentEvent.Stalled(building.Epoch));
        }
    }

    private void OnHeartbeat()
    {
        if (_state is not null)
        {
            CheckDrained();
            _show.Send(DeploymentWire.Shown(_state, _settings!, _cell.Name, _offer, [.. _sources.Select(Endpoint.Parse)], _next), force: true);
        }
    }

    private void Publish()
    {
        _cell.Board.Show(_state!.ToView(), _state.WasReady && !_state.GaveUp);
        _show.Send(DeploymentWire.Shown(_state, _settings!, _cell.Name, _offer, [.. _sources.Select(Endpoint.Parse)], _next), force: false);
    }

    /// <summary>Addresses of the coordinators that count now.</summary>
    private IEnumerable<Address> Coordinators() => _show.Coordinators();

    private void LogPlan()
    {
        foreach (string sentence in _state?.Building?.Plan.Explanation ?? [])
        {
            _cell.Logger.LogInformation("deployment {Deployment} epoch {Epoch}: {Sentence}", _id, _state!.LastEpoch, sentence);
        }
    }
}
