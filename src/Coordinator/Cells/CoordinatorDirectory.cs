using Akka.Actor;
using Akka.Cluster;
using Lamina.Cluster.Messages;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Cells;

/// <summary><c>/user/coordinators</c>: tells the cell's other coordinators where this one's links are dialled, and hears it of them.</summary>
internal sealed class CoordinatorDirectory : ReceiveActor, IWithTimers
{
    public const string Name = "coordinators";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly AkkaCluster _cluster = AkkaCluster.Get(Context.System);
    private readonly MirrorProtocol.CoordinatorShown _self;

    private sealed record Tell : INoSerializationVerificationNeeded
    {
        public static readonly Tell Instance = new();
    }

    /// <param name="links">Where this coordinator accepts links.</param>
    public CoordinatorDirectory(TenantId tenant, CellPeers peers, Endpoint links)
    {
        _self = new MirrorProtocol.CoordinatorShown(tenant, peers.Self, links);
        Receive<MirrorProtocol.CoordinatorShown>(shown => peers.Show(shown.Name, shown.Links), shown => shown.Tenant == tenant && shown.Name != peers.Self);
        Receive<Tell>(_ => TellOthers());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() => Timers.StartPeriodicTimer(nameof(Tell), Tell.Instance, TimeSpan.Zero, s_interval);

    private void TellOthers()
    {
        foreach (Member other in _cluster.State.Members.Where(member => member.HasRole("coordinator") && member.Status == MemberStatus.Up && member.Address != _cluster.SelfAddress))
        {
            Context.ActorSelection(new RootActorPath(other.Address) / "user" / Name).Tell(_self, ActorRefs.NoSender);
        }
    }
}
