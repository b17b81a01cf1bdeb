using System.Collections.Concurrent;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Cells;

/// <summary>The cell's other coordinators: where their links are dialled, and who takes the links that they open. Thread-safe.</summary>
internal sealed class CellPeers(TenantId tenant, string self, LinkOptions links, CertificateProvider certificates, CancellationToken stopping)
{
    private readonly ConcurrentDictionary<string, Endpoint> _peers = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<LinkPurpose, Func<Link, ILinkHandler>> _takers = new();
    private Action<string>? _found;

    public string Self => self;

    /// <summary>Has each coordinator named, those that are known already at once.</summary>
    public void Watch(Action<string> found)
    {
        _found = found;
        foreach (string name in _peers.Keys)
        {
            found(name);
        }
    }

    /// <summary>Takes links of a purpose that other coordinators open.</summary>
    public void Take(LinkPurpose purpose, Func<Link, ILinkHandler> taker) => _takers[purpose] = taker;

    /// <summary>A coordinator said where it is. Its certificate must bear the name when it is dialled, so saying it proves nothing and need not.</summary>
    public void Show(string name, Endpoint endpoint)
    {
        _peers[name] = endpoint;
        _found?.Invoke(name);
    }

    /// <summary>About a link that a coordinator opens: the handshake lets nobody else open one of these.</summary>
    public LinkDecision Decide(LinkPurpose purpose) =>
        _takers.TryGetValue(purpose, out Func<Link, ILinkHandler>? taker) ? new LinkDecision(taker, null) : new LinkDecision(null, $"links for {purpose} are not accepted yet");

    /// <summary>Opens a link. Throws <see cref="LinkClosedException"/> when the coordinator is unknown or out of reach.</summary>
    public Task<Link> DialAsync(string name, LinkPurpose purpose, CancellationToken cancellation) => _peers.TryGetValue(name, out Endpoint endpoint)
        ? LinkDialler.DialAsync(endpoint, name, new LinkHello(LinkHello.CurrentVersion, purpose, tenant, self, default), links, certificates, cancellation)
        : throw new LinkClosedException($"coordinator {name} is not known here");

    public CancellationToken Stopping => stopping;
}
