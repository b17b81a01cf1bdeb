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

    /// <summary>Plans are made of the nodes that the registry knows: one that describes itself for another tenant, or from outside the cell, is in none.</summary>
    [Trait("Attack", "E6")]
    [Fact]
    public async Task Node_OfAnotherTenantOrNoMember_IsNeverKnownToPlans()
    {
        await using TestCell cell = await TestCell.StartAsync(CellTests.Tiny(nodes: 1), "node-1");
        await cell.ReadyAsync("tiny");
        IActorRef registry = cell.Cell.NodeRegistry!;
        ActorSystem system = ((ActorRefWithCell)registry).Underlying.System;
        Address member = AkkaCluster.Get(system).State.Members.Single(member => member.HasRole("node")).Address;
        IActorRef Of(Address address) => ((ExtendedActorSystem)system).Provider.ResolveActorRef($"{address}/user/node");
        NodeEvents.NodeDescribed Described(string tenant, string node) =>
            new(new TenantId(tenant), new NodeName(node), new Endpoint("127.0.0.1", 1), 1L << 40, 0, 64, 1L << 40, "1", 1, []);

        registry.Tell(Described("globex", "foreign"), Of(member));
        registry.Tell(Described(cell.Cell.Tenant.Value, "stranger"), Of(member.WithHost("192.0.2.1")));
        Assert.Equal("node-1", Assert.Single((await TableAsync()).Nodes).Name.Value);

        // What the two lacked is all that kept them out.
        registry.Tell(Described(cell.Cell.Tenant.Value, "own"), Of(member));
        Assert.Contains((await TableAsync()).Nodes, node => node.Name.Value == "own");

        Task<NodeRegistryActor.NodeTable> TableAsync() => registry.Ask<NodeRegistryActor.NodeTable>(new NodeRegistryActor.Subscribe(new DeploymentId("watcher")), TimeSpan.FromSeconds(120));
    }
}
