using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Cells;

/// <summary>Members on one side of a cut, as both sides count them.</summary>
/// <param name="FirstCoordinator">Lowest control endpoint of a coordinator on this side, or null when it has none.</param>
internal readonly record struct PartitionSide(int Coordinators, int Nodes, string? FirstCoordinator);

/// <summary>
/// Which side of a cut is the cell: the one with more coordinators; among equals the one with more nodes, so that of two coordinators the one that still reaches the nodes goes
/// on when the other is killed; among equals again the one with the lowest coordinator. Both sides come to opposite verdicts from the same membership.
/// </summary>
internal static class PartitionVerdict
{
    public static bool Survives(PartitionSide own, PartitionSide other)
    {
        int byCoordinators = own.Coordinators.CompareTo(other.Coordinators);
        int byNodes = byCoordinators != 0 ? byCoordinators : own.Nodes.CompareTo(other.Nodes);
        return byNodes != 0 ? byNodes > 0 : own.FirstCoordinator is not null && string.CompareOrdinal(own.FirstCoordinator, other.FirstCoordinator) < 0;
    }

    public static PartitionSide Side(IEnumerable<(bool IsCoordinator, string Address)> members)
    {
        int coordinators = 0, nodes = 0;
        string? first = null;
        foreach ((bool isCoordinator, string address) in members)
        {
            (coordinators, nodes) = isCoordinator ? (coordinators + 1, nodes) : (coordinators, nodes + 1);
            first = isCoordinator && (first is null || string.CompareOrdinal(address, first) < 0) ? address : first;
        }

        return new PartitionSide(coordinators, nodes, first);
    }
}
