using System.Collections.Immutable;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Cells;

/// <summary>Places deployments through cluster sharding on the role <c>coordinator</c>: each exists once, and moves when its coordinator dies.</summary>
internal static class DeploymentSharding
{
    public const string TypeName = "deployment";
    private const int Shards = 32;

    public static Task<IActorRef> StartRegionAsync(ActorSystem system, CellContext cell, IActorRef registry)
    {
        ClusterShardingSettings settings = ClusterShardingSettings.Create(system)
            .WithRole("coordinator")
            .WithStateStoreMode(StateStoreMode.DData)
            .WithRememberEntities(false)
            .WithPassivateIdleAfter(TimeSpan.Zero);
        return ClusterSharding.Get(system).StartAsync(
            TypeName,
            entityId => Props.Create(() => new DeploymentActor(cell, new DeploymentId(entityId), registry)),
            settings,
            new Extractor(),
            new StayingAllocation(),
            PoisonPill.Instance);
    }

    private sealed class Extractor : HashCodeMessageExtractor
    {
        public Extractor()
            : base(Shards)
        {
        }

        public override string? EntityId(object message) => message switch
        {
            DeploymentProtocol.KeepDeployment keep => keep.Deployment.Value,
            DeploymentProtocol.EpochDrained drained => drained.Deployment.Value,
            DeploymentProtocol.ReplanDeployment replan => replan.Deployment.Value,
            _ => null,
        };
    }

    /// <summary>The coordinator that owns fewest takes the next; nothing moves while its owner lives.</summary>
    private sealed class StayingAllocation : IShardAllocationStrategy
    {
        public Task<IActorRef> AllocateShard(IActorRef requester, string shardId, IImmutableDictionary<IActorRef, IImmutableList<string>> currentShardAllocations) =>
            Task.FromResult(currentShardAllocations.OrderBy(region => region.Value.Count).ThenBy(region => region.Key.Path.ToString(), StringComparer.Ordinal).First().Key);

        public Task<IImmutableSet<string>> Rebalance(IImmutableDictionary<IActorRef, IImmutableList<string>> currentShardAllocations, IImmutableSet<string> rebalanceInProgress) =>
            Task.FromResult<IImmutableSet<string>>(ImmutableHashSet<string>.Empty);
    }
}
