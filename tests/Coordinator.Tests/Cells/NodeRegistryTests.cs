using Akka.Actor;
using Akka.Cluster;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Tests.Support;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Tests.Cells;

public class NodeRegistryTests
{
    [Fact]
    public async Task Node_ThatOnlyOthersTakeForUnreachable_IsAskedItselfBeforeItCountsAsLost()
    {
        await using TestCell cell = await TestCell.StartAsync(CellTests.Tiny(nodes: 1), "node-1");
        await cell.ReadyAsync("tiny");
        IActorRef registry = cell.Cell.NodeRegistry!;
        var cluster = AkkaCluster.Get(((ActorRefWithCell)registry).Underlying.System);
        Member node = cluster.State.Members.Single(member => member.HasRole("node"));

        // On a machine that is too busy for heartbeats its own observation may miss the node for a moment, too.
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        NodeRegistryActor.NodeTable table;
        do
        {
            deadline.Token.ThrowIfCancellationRequested();
            registry.Tell(new ClusterEvent.UnreachableMember(node));
            table = await registry.Ask<NodeRegistryActor.NodeTable>(new NodeRegistryActor.Subscribe(new DeploymentId("watcher")), deadline.Token);
        }
        while (table.Nodes.Count == 0);

        Assert.Equal("node-1", Assert.Single(table.Nodes).Name.Value);
    }
}
