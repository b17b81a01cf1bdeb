using System.Collections.Concurrent;
using System.Diagnostics;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Cells;

/// <summary>Takes as long as the cell needs to be sure that a coordinator is gone.</summary>
public sealed class ShardingTests
{
    [Fact]
    public async Task Sharding_CoordinatorIsKilled_EntityLivesOnAtAnother()
    {
        await using CellMembers cell = new();
        CellSystem first = await cell.FrontAsync("front-0");
        CellSystem second = await cell.FrontAsync("front-1", first.ControlEndpoint), third = await cell.FrontAsync("front-2", first.ControlEndpoint);
        CellSystem node = await cell.NodeAsync("a", first.ControlEndpoint);
        await cell.AllUpAsync(4);
        ConcurrentDictionary<string, string> homes = new();
        IActorRef[] regions = await Task.WhenAll(new[] { first, second, third }.Select(m => StartRegionAsync(m, homes)));

        await AskEntityAsync(regions[1], "m");
        string home = homes["m"];
        CellSystem host = cell.Members.Single(m => m.Self.Name == home);
        IActorRef survivor = regions[host == third ? 1 : 2];
        Stopwatch watch = Stopwatch.StartNew();
        await CellMembers.KillAsync(host);

        await AskEntityAsync(survivor, "m", until: () => homes["m"] != home);

        TestContext.Current.TestOutputHelper!.WriteLine($"re-homed in {watch.ElapsedMilliseconds} ms");
        Assert.False(node.Stopped.IsCompleted);
        await cell.AllUpAsync(3);
    }

    private static Task<IActorRef> StartRegionAsync(CellSystem member, ConcurrentDictionary<string, string> homes)
    {
        ClusterSharding sharding = ClusterSharding.Get(member.System);
        return sharding.StartAsync("deployment", id => Props.Create(() => new Entity(id, member.Self.Name, homes)), ClusterShardingSettings.Create(member.System), new Extractor());
    }

    private static Task AskEntityAsync(IActorRef region, string id, Func<bool>? until = null)
    {
        NodeCommands.UnloadStage message = new(new TenantId("acme"), new StageAddress(new DeploymentId(id), 1, 0, 0));
        return Eventually.TrueAsync(async () =>
        {
            try
            {
                await region.Ask<NodeEvents.StageReady>(message, TimeSpan.FromMilliseconds(500));
                return until?.Invoke() ?? true;
            }
            catch (AskTimeoutException)
            {
                return false;
            }
        }, 50);
    }

    private sealed class Entity : ReceiveActor
    {
        public Entity(string id, string home, ConcurrentDictionary<string, string> homes)
        {
            homes[id] = home;
            Receive<NodeCommands.UnloadStage>(m => Sender.Tell(new NodeEvents.StageReady(m.Tenant, m.Address, new NodeName(home))));
        }
    }

    private sealed class Extractor : HashCodeMessageExtractor
    {
        public Extractor()
            : base(10)
        {
        }

        public override string EntityId(object message) => ((NodeCommands.UnloadStage)message).Address.Deployment.Value;
    }
}
