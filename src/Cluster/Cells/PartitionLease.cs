using Akka.Actor;
using Akka.Cluster;
using Akka.Coordination;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Cells;

/// <summary>
/// Lends Akka's split-brain resolver the verdict of <see cref="PartitionVerdict"/> in the shape of its lease: the side that may go on acquires it, the other does not. Nothing
/// is held anywhere; each side reckons from its own view of the membership, which a cut has frozen on both sides alike.
/// </summary>
internal sealed class PartitionLease(LeaseSettings settings, ExtendedActorSystem system) : Lease(settings)
{
    public override Task<bool> Acquire()
    {
        ClusterEvent.CurrentClusterState state = AkkaCluster.Get(system).State;
        Member[] members = [.. state.Members.Where(member => member.Status is MemberStatus.Up or MemberStatus.Leaving)];
        PartitionSide own = Side(members.Where(member => !state.Unreachable.Contains(member)));
        PartitionSide other = Side(members.Where(state.Unreachable.Contains));
        return Task.FromResult(PartitionVerdict.Survives(own, other));
    }

    public override Task<bool> Acquire(Action<Exception> leaseLostCallback) => Acquire();

    public override Task<bool> Release() => Task.FromResult(true);

    /// <summary>Never held beyond the decision, so that each is made anew.</summary>
    public override bool CheckLease() => false;

    private static PartitionSide Side(IEnumerable<Member> members) =>
        PartitionVerdict.Side(members.Select(member => (member.HasRole(CellConfiguration.ShardingRole), member.Address.ToString())));
}
