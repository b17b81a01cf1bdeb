using System.Collections.Concurrent;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;

namespace Lamina.Node.Stages;

/// <summary>The stages that stand on this node, for those who are not their actors: the link listener and the metrics. Thread-safe.</summary>
internal sealed class StageRegistry(IBlobStore blobs)
{
    private readonly ConcurrentDictionary<StageAddress, StageUnit> _units = new();

    public IEnumerable<StageUnit> Units => _units.Values;

    public void Add(StageUnit unit) => _units[unit.Plan.Address] = unit;

    public void Remove(StageUnit unit) => _units.TryRemove(new KeyValuePair<StageAddress, StageUnit>(unit.Plan.Address, unit));

    /// <summary>Where an authenticated link goes: to the stage it names, or to the blobs that this node can pass on.</summary>
    public LinkDecision Route(LinkHello hello, PeerIdentity peer)
    {
        if (hello.Purpose == LinkPurpose.Blobs)
        {
            return new LinkDecision(link => new BlobServer(link, blobs), null);
        }

        return _units.TryGetValue(hello.Target, out StageUnit? unit)
            ? unit.Offer(hello, peer)
            : new LinkDecision(null, $"stage {hello.Target} is not on this node");
    }
}
