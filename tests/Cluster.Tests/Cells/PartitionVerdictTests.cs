using CsCheck;
using Lamina.Cluster.Cells;

namespace Lamina.Cluster.Tests.Cells;

/// <summary>Which side of a cut goes on.</summary>
public sealed class PartitionVerdictTests
{
    [Theory]
    [InlineData("c1 c2 c3", "n1 n2", true)] // most coordinators
    [InlineData("c1", "c2 n1 n2", false)] // one coordinator each: most nodes
    [InlineData("c2 n1 n2", "c1", true)]
    [InlineData("c1 n1", "c2 n2", true)] // even: the lowest coordinator
    [InlineData("c2 n1", "c1 n2", false)]
    [InlineData("n1 n2 n3", "c1", false)] // nodes alone are no cell
    [InlineData("c1", "", true)]
    [InlineData("c1 c2", "c3 n1 n2 n3", true)] // coordinators count before nodes
    public void Survives_Sides_AsExpected(string own, string other, bool survives) =>
        Assert.Equal(survives, PartitionVerdict.Survives(Side(own), Side(other)));

    [Fact]
    public void Survives_AnyCutOfAnyCellWithACoordinator_GoesOnOnExactlyOneSide() =>
        Gen.Select(Gen.Int[1, 5], Gen.Int[0, 8], Gen.Int[0, int.MaxValue - 1]).Sample((coordinators, nodes, cut) =>
        {
            string[] members = [.. Enumerable.Range(0, coordinators).Select(i => $"c{i}"), .. Enumerable.Range(0, nodes).Select(i => $"n{i}")];
            string[] left = [.. members.Where((_, i) => (cut >> i & 1) == 0)];
            PartitionSide a = Side(string.Join(' ', left)), b = Side(string.Join(' ', members.Except(left)));
            return PartitionVerdict.Survives(a, b) != PartitionVerdict.Survives(b, a);
        });

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 2)]
    [InlineData(4, 3)]
    [InlineData(5, 3)]
    public void Quorum_OfSeeds_IsMoreThanHalf(int seeds, int needed) => Assert.Equal(needed, ColdStart.Quorum(seeds));

    private static PartitionSide Side(string members) =>
        PartitionVerdict.Side(members.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(member => (member[0] == 'c', member)));
}
