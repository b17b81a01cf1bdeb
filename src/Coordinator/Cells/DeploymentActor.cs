using Akka.Actor;
using Akka.Cluster.Sharding;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Model;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Planning;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// The sharded entity of one deployment: turns messages into events of <see cref="DeploymentState"/> and does what that asks for. If it is restarted it begins
/// anew: epochs rise past those that nodes remember, and stages of the old life are unloaded.
/// </summary>
internal sealed class DeploymentActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan s_stallCheck = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_stallLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan s_progressInterval = TimeSpan.FromMilliseconds(100);

    private readonly CellContext _cell;
    private readonly DeploymentId _id;
    private readonly IActorRef _registry;
    private readonly GenerationRouter _router;
    private readonly IActorRef _self;
    private DeploymentState _state;
    private long _lastMove = Environment.TickCount64;

    private sealed record CheckStall : INoSerializationVerificationNeeded
    {
        public static readonly CheckStall Instance = new();
    }

    private sealed record ProbeNow : INoSerializationVerificationNeeded
    {
        public static readonly ProbeNow Instance = new();
    }

    private sealed record HeadsDialled(int Epoch, IReadOnlyList<HeadLink> Links) : INoSerializationVerificationNeeded;

    private sealed record Imported(ServedModel Model, StoredModel? Draft) : INoSerializationVerificationNeeded;

    public DeploymentActor(CellContext cell, DeploymentId id, IActorRef registry)
    {
        _cell = cell;
        _id = id;
        _registry = registry;
        _router = cell.RouterOf(id);
        _self = Self;
        ModelOptions options = cell.Models[id];
        IReadOnlyList<Compute.Model.LayerRange>? ranges = options.Stages is null ? null : StageRanges.Parse(options.Stages);
        _state = DeploymentState.Begin(new DeploymentSpec(cell.Tenant, id, Math.Max(options.Nodes, ranges?.Count ?? 1), ranges, options.Threads, options.DraftTokens, KvCacheTypes.Parse(options.KvCacheType)));

        Receive<DeploymentSharding.Start>(_ => { });
        Receive<DeploymentEvent>(Apply);
        Receive<Imported>(OnImported);
        Receive<HeadsDialled>(OnHeadsDialled);
        Receive<NodeRegistryActor.NodeTable>(table => Apply(new DeploymentEvent.NodesSeen(table.Nodes)));
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
        Publish();
        Import();
        _registry.Tell(new NodeRegistryActor.Subscribe(_id));
        Timers.StartPeriodicTimer(nameof(CheckStall), CheckStall.Instance, s_stallCheck);
    }

    private void Apply(DeploymentEvent happened)
    {
        DeploymentPhase before = _state.Phase;
        (_state, IReadOnlyList<DeploymentEffect> effects) = _state.Apply(happened);
        _lastMove = Environment.TickCount64;
        foreach (DeploymentEffect effect in effects)
        {
            Do(effect);
        }

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
            case DeploymentEffect.OpenHeads open:
                LogPlan();
                _cell.OpenHeadsAsync(open.Heads, _state.Model!.IsEncoder).PipeTo(
                    _self,
                    success: links => new HeadsDialled(open.Epoch, links),
                    failure: e => new DeploymentEvent.HeadsFailed(open.Epoch, e is LinkClosedException ? e.Message : $"opening the head failed: {e.Message}"));
                break;
            case DeploymentEffect.Serve serve:
                _router.Serve(serve.Epoch);
                break;
            case DeploymentEffect.StopServing stop:
                _router.Stop(stop.Epoch);
                break;
            case DeploymentEffect.Drain drain:
                _router.DrainAsync(drain.Epoch, _cell.Stopping).PipeTo(_self, success: () => new DeploymentEvent.Drained(drain.Epoch));
                break;
            case DeploymentEffect.Probe probe when probe.Delay > TimeSpan.Zero:
                Timers.StartSingleTimer(nameof(ProbeNow), ProbeNow.Instance, probe.Delay);
                break;
            case DeploymentEffect.Probe:
                _registry.Tell(new NodeRegistryActor.ProbeNodes());
                break;
        }
    }

    private void Import()
    {
        ModelOptions options = _cell.Models[_id];
        long lastReport = 0;
        void Report(long done, long total)
        {
            long now = Environment.TickCount64;
            long last = Interlocked.Read(ref lastReport);
            if ((now - last >= s_progressInterval.TotalMilliseconds || done == total) && Interlocked.CompareExchange(ref lastReport, now, last) == last)
            {
                _self.Tell(new DeploymentEvent.ImportProgressed(done, total));
            }
        }

        async Task<Imported> RunAsync()
        {
            StoredModel stored = await _cell.Store.ImportAsync(options.Path, options.Sha256, Report, _cell.Stopping);
            ServedModel model = ServedModel.Of(_id.Value, stored, options.ContextLength, DateTimeOffset.UtcNow.ToUnixTimeSeconds()) with { EmbeddingDimensions = options.EmbeddingDimensions };
            return new Imported(model, options.Draft is null ? null : model.RequireDraft(await _cell.Store.ImportAsync(options.Draft, Report, _cell.Stopping)));
        }

        RunAsync().PipeTo(_self, failure: e => new DeploymentEvent.ImportFailed(e.Message));
    }

    private void OnImported(Imported imported)
    {
        ServedModel model = imported.Model;
        _cell.Board.SetModel(_id.Value, model);
        ModelCost cost = ModelCost.Of(model.Shape, model.Stored.TensorBytes(), model.ContextLength, _state.Spec.KvType);
        if (imported.Draft is { } draft)
        {
            cost = cost with { DraftBytes = ModelCost.DraftBytesOf(ModelShape.FromGguf(draft.Metadata), draft.TensorBytes(), model.ContextLength, _state.Spec.KvType) };
        }

        Apply(new DeploymentEvent.ModelImported(new ModelFacts(model.Stored.Digest.ToString(), cost, [_cell.BlobEndpoint], !model.Generates, imported.Draft?.Digest.ToString())));
    }

    private void OnHeadsDialled(HeadsDialled dialled)
    {
        if (_state is not ({ Building.Phase: EpochPhase.Opening } or { Serving.Phase: EpochPhase.Opening })
            || (_state.Building?.Epoch != dialled.Epoch && _state.Serving?.Epoch != dialled.Epoch))
        {
            foreach (HeadLink link in dialled.Links)
            {
                link.Dispose();
            }

            return;
        }

        _router.Add(dialled.Epoch, dialled.Links);
        Apply(new DeploymentEvent.HeadsOpened(dialled.Epoch));
        foreach (HeadLink link in dialled.Links)
        {
            link.Closed.PipeTo(_self, success: reason => new DeploymentEvent.HeadLost(dialled.Epoch, $"the link to the head closed: {reason}"));
        }
    }

    private void OnCheckStall()
    {
        if (_state.Building is { } building && Environment.TickCount64 - _lastMove > s_stallLimit.TotalMilliseconds)
        {
            Apply(new DeploymentEvent.Stalled(building.Epoch));
        }
    }

    private void Publish() => _cell.Board.Show(_state.ToView(), _state.WasReady && !_state.GaveUp);

    private void LogPlan()
    {
        foreach (string sentence in _state.Building?.Plan.Explanation ?? [])
        {
            _cell.Logger.LogInformation("deployment {Deployment} epoch {Epoch}: {Sentence}", _id, _state.LastEpoch, sentence);
        }
    }
}

/// <summary>Places deployments through cluster sharding on the role <c>coordinator</c>: each exists once, and moves when its coordinator dies.</summary>
internal static class DeploymentSharding
{
    public const string TypeName = "deployment";
    private const int Shards = 32;

    /// <summary>Brings a deployment to life where its shard is.</summary>
    public sealed record Start(DeploymentId Deployment) : INoSerializationVerificationNeeded;

    public static Task<IActorRef> StartRegionAsync(ActorSystem system, CellContext cell, IActorRef registry)
    {
        ClusterShardingSettings settings = ClusterShardingSettings.Create(system)
            .WithRole("coordinator")
            .WithStateStoreMode(StateStoreMode.DData)
            .WithRememberEntities(false)
            .WithPassivateIdleAfter(TimeSpan.Zero);
        return ClusterSharding.Get(system).StartAsync(
            TypeName, entityId => Props.Create(() => new DeploymentActor(cell, new DeploymentId(entityId), registry)), settings, new Extractor());
    }

    private sealed class Extractor : HashCodeMessageExtractor
    {
        public Extractor()
            : base(Shards)
        {
        }

        public override string? EntityId(object message) => (message as Start)?.Deployment.Value;
    }
}
