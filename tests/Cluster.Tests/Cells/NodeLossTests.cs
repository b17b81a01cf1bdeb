using Lamina.Cluster.Cells;
using Lamina.Cluster.Tests.Support;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Tests.Cells;

/// <summary>Takes as long as the cell needs to be sure that a node is gone.</summary>
public sealed class NodeLossTests
{
    [Fact]
    public async Task Killed_TheOnlyCoordinatorOfTwoMembersLosesItsNode_TheCoordinatorStays()
    {
        await using CellMembers cell = new();
        CellSystem front = await cell.FrontAsync();
        CellSystem node = await cell.NodeAsync("a", front.ControlEndpoint);
        await cell.AllUpAsync(2);

        await CellMembers.KillAsync(node);

        await Eventually.TrueAsync(() => AkkaCluster.Get(front.System).State.Members.Count == 1, 30);
        Assert.False(front.Stopped.IsCompleted);
        CellSystem again = await cell.NodeAsync("a", front.ControlEndpoint);
        await again.WaitUpAsync(new CancellationTokenSource(CellMembers.Patience).Token);
    }
}
