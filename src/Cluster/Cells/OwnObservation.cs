using Akka.Actor;
using Akka.Cluster;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Cells;

/// <summary>
/// What this process' own heartbeats say of the cell's members. The membership also holds what others observed; one that was cut off or stood still for a moment brings back with it that it
/// reaches nobody, which says nothing of those whom it did not reach.
/// </summary>
public static class OwnObservation
{
    /// <summary>True when this process watches the member itself and has heard nothing of it for too long.</summary>
    public static bool Misses(AkkaCluster cluster, Address member) => cluster.FailureDetector.IsMonitoring(member) && !cluster.FailureDetector.IsAvailable(member);

    /// <summary>True unless this process misses the member, or does not watch it and those who do miss it.</summary>
    public static bool Reaches(AkkaCluster cluster, Member member) =>
        member.Address == cluster.SelfAddress || (cluster.FailureDetector.IsMonitoring(member.Address) ? cluster.FailureDetector.IsAvailable(member.Address) : !cluster.State.Unreachable.Contains(member));

    /// <summary>True when the members that this process reaches are the side that the cell goes on without, should it stay so.</summary>
    public static bool IsOutvoted(AkkaCluster cluster)
    {
        Member[] members = [.. cluster.State.Members.Where(member => member.Status is MemberStatus.Up or MemberStatus.Leaving)];
        ILookup<bool, (bool, string)> sides = members.ToLookup(
            member => member.Address != cluster.SelfAddress && Misses(cluster, member.Address), member => (member.HasRole(CellConfiguration.ShardingRole), member.Address.ToString()));
        return !PartitionVerdict.Survives(PartitionVerdict.Side(sides[false]), PartitionVerdict.Side(sides[true]));
    }
}
