using Akka.Actor;
using Lamina.Cluster.Cells;
using Lamina.Coordinator.Generations;
using Microsoft.Extensions.Logging;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// Notices that this coordinator is cut off from the larger part of its cell, seconds before the cell removes it: generations whose pipeline it has lost end then with an error that says so,
/// and their callers go on at another coordinator, instead of waiting here for a pipeline that cannot come.
/// </summary>
internal sealed class CutOffWatch : ReceiveActor, IWithTimers
{
    public const string Reason = "this coordinator is cut off from its cell; another one goes on";

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(250);

    /// <summary>So long it must last: a process that stood still misses everybody for a moment.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly AkkaCluster _cluster = AkkaCluster.Get(Context.System);
    private readonly CellContext _cell;
    private long? _since;
    private bool _cutOff;

    private sealed record Look : INoSerializationVerificationNeeded
    {
        public static readonly Look Instance = new();
    }

    public CutOffWatch(CellContext cell)
    {
        _cell = cell;
        Receive<Look>(_ => OnLook());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() => Timers.StartPeriodicTimer(nameof(Look), Look.Instance, s_interval);

    private void OnLook()
    {
        long now = Environment.TickCount64;
        _since = _cluster.IsTerminated || !OwnObservation.IsOutvoted(_cluster) ? null : _since ?? now;
        bool cutOff = now - _since > s_patience.TotalMilliseconds;
        if (cutOff != _cutOff)
        {
            _cutOff = cutOff;
            _cell.Logger.LogWarning("{State}", cutOff ? "cut off from the larger part of the cell" : "the larger part of the cell is within reach again");
        }

        foreach (GenerationRouter router in _cell.Routers.Values)
        {
            router.SetHopeless(cutOff ? Reason : null);
        }
    }
}
