using Akka.Actor;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Node.Pipeline;
using Microsoft.Extensions.Logging;

namespace Lamina.Node.Stages;

/// <summary>
/// One stage from plan to end: fetches and loads it, connects it, reports. What happened is told to the parent as node events. A stage that fails stops for good: its cache
/// cannot be rebuilt here, the coordinator plans anew.
/// </summary>
internal sealed class StageActor : ReceiveActor
{
    private static readonly TimeSpan s_connectDeadline = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_connectRetry = TimeSpan.FromMilliseconds(200);
    private static readonly long s_progressTicks = TimeSpan.FromMilliseconds(200).Ticks;

    private readonly NodeCommands.LoadStage _plan;
    private readonly StageServices _services;
    private readonly CancellationTokenSource _stopping = new();
    private Task<StageExecutor>? _loading;
    private StageUnit? _unit;
    private NodeEvents.StageProgress _progress;
    private bool _connecting;
    private bool _taken;

    public StageActor(NodeCommands.LoadStage plan, StageServices services)
    {
        _plan = plan;
        _services = services;
        _progress = new NodeEvents.StageProgress(services.Tenant, plan.Address, services.Node, StagePhase.Fetching, 0, 0);

        Receive<NodeCommands.LoadStage>(_ => Report());
        Receive<NodeCommands.ConnectStage>(Connect);
        Receive<NodeCommands.UnloadStage>(_ => Unload());
        Receive<NodeEvents.StageProgress>(OnProgress);
        Receive<Loaded>(loaded => OnLoaded(loaded.Executor));
        Receive<Connected>(_ => OnConnected());
        Receive<StageFault>(OnFault);
        Receive<Freed>(_ => Context.Stop(Self));
    }

    private StagePhase Phase => _progress.Phase;

    public static Props Props(NodeCommands.LoadStage plan, StageServices services) => Akka.Actor.Props.Create(() => new StageActor(plan, services));

    protected override void PreStart()
    {
        IActorRef self = Self;
        NodeEvents.StageProgress report = _progress;
        CancellationToken stopping = _stopping.Token;
        _loading = Task.Run(() => LoadAsync(_plan, _services, self, report, stopping));
        _loading.PipeTo(Self, success: executor => new Loaded(executor), failure: e => e as StageFault ?? new StageFault(StageFailure.Internal, e.Message, e));
    }

    protected override void PostStop()
    {
        // Only when the actor system goes down under a living stage: otherwise Unload has freed it already.
        _stopping.Cancel();
        if (_unit is not null)
        {
            Free(_unit);
        }
        else if (!_taken)
        {
            // The load may have finished just now, or will, with nobody left to take it.
            _loading?.ContinueWith(load => load.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
        }

        _services.Memory.Release(_plan.Address);
        _stopping.Dispose();
    }

    private static Task<StageExecutor> LoadAsync(NodeCommands.LoadStage plan, StageServices services, IActorRef self, NodeEvents.StageProgress report, CancellationToken stopping)
    {
        long reportedAt = 0;
        StagePhase reportedPhase = StagePhase.Stopped;

        void ReportOften(StagePhase phase, long done, long total)
        {
            long now = DateTime.UtcNow.Ticks;
            if (phase != reportedPhase || now - reportedAt >= s_progressTicks)
            {
                reportedAt = now;
                reportedPhase = phase;
                self.Tell(report with { Phase = phase, DoneBytes = done, TotalBytes = total });
            }
        }

        return services.Loader.LoadAsync(plan, ReportOften, bytes => services.Memory.ReserveAsync(plan.Address, bytes, stopping), stopping);
    }

    private void OnProgress(NodeEvents.StageProgress progress)
    {
        if (Phase < StagePhase.Loaded)
        {
            _progress = progress;
            Report();
        }
    }

    private void OnLoaded(StageExecutor executor)
    {
        _taken = true;
        if (_stopping.IsCancellationRequested)
        {
            executor.Dispose();
            return;
        }

        IActorRef self = Self;
        _unit = new StageUnit(_plan, executor, fault => self.Tell(fault));
        _services.Memory.Set(_plan.Address, _unit.MemoryBytes);
        _services.Registry.Add(_unit);
        _services.Logger.LogInformation("stage {Stage} holds layers {First} to {Last}, {Bytes} bytes", _plan.Address, _plan.FirstLayer, _plan.EndLayer - 1, _unit.MemoryBytes);
        SetPhase(StagePhase.Loaded);
    }

    private void Connect(NodeCommands.ConnectStage command)
    {
        if (Phase != StagePhase.Loaded || _connecting)
        {
            Report();
            return;
        }

        _connecting = true;
        StageUnit unit = _unit!;
        CancellationToken stopping = _stopping.Token;
        Task.Run(() => ConnectAsync(unit, command, stopping), stopping)
            .PipeTo(Self, success: () => Connected.Instance, failure: e => e as StageFault ?? new StageFault(StageFailure.LinkLost, e.Message, e));
    }

    /// <summary>The neighbour may hold its stage a moment later than this node is told to connect; one that cannot be reached at all is reported at once, so that another takes its place.</summary>
    private async Task ConnectAsync(StageUnit unit, NodeCommands.ConnectStage command, CancellationToken stopping)
    {
        long until = Environment.TickCount64 + (long)s_connectDeadline.TotalMilliseconds;
        while (true)
        {
            try
            {
                await unit.ConnectAsync(command, _services.Links, _services.Certificates, stopping).ConfigureAwait(false);
                return;
            }
            catch (LinkClosedException e) when (!e.IsUnanswered && Environment.TickCount64 < until && !stopping.IsCancellationRequested)
            {
                await Task.Delay(s_connectRetry, stopping).ConfigureAwait(false);
            }
        }
    }

    private void OnConnected()
    {
        if (Phase == StagePhase.Loaded)
        {
            SetPhase(StagePhase.Ready);
        }
    }

    private void OnFault(StageFault fault)
    {
        if (Phase == StagePhase.Stopped)
        {
            return;
        }

        _services.Logger.LogWarning("stage {Stage} failed ({Failure}): {Reason}", _plan.Address, fault.Failure, fault.Message);
        Context.Parent.Tell(new NodeEvents.StageFailed(_services.Tenant, _plan.Address, _services.Node, fault.Failure, fault.Message));
        Unload();
    }

    /// <summary>Stops computing at once; memory is zeroed and freed on another thread, and this actor ends when that is done.</summary>
    private void Unload()
    {
        if (Phase == StagePhase.Stopped)
        {
            return;
        }

        _progress = _progress with { Phase = StagePhase.Stopped };
        _stopping.Cancel();
        if (_unit is { } unit)
        {
            _unit = null;
            Task.Run(() => Free(unit)).PipeTo(Self, success: () => Freed.Instance, failure: _ => Freed.Instance);
        }
        else
        {
            // The load notices soon, or brings a stage that nobody takes.
            _loading!.ContinueWith(_ => { }, TaskScheduler.Default).PipeTo(Self, success: () => Freed.Instance);
        }
    }

    private void Free(StageUnit unit)
    {
        _services.Registry.Remove(unit);
        unit.Dispose();
    }

    private void SetPhase(StagePhase phase)
    {
        _progress = _progress with { Phase = phase };
        Report();
    }

    private void Report()
    {
        object report = Phase switch
        {
            StagePhase.Loaded => new NodeEvents.StageLoaded(_services.Tenant, _plan.Address, _services.Node, _unit!.MemoryBytes),
            StagePhase.Ready => new NodeEvents.StageReady(_services.Tenant, _plan.Address, _services.Node),
            _ => _progress,
        };
        Context.Parent.Tell(report);
    }

    private sealed record Loaded(StageExecutor Executor) : INoSerializationVerificationNeeded;

    private sealed record Connected : INoSerializationVerificationNeeded
    {
        public static readonly Connected Instance = new();
    }

    private sealed record Freed : INoSerializationVerificationNeeded
    {
        public static readonly Freed Instance = new();
    }
}
