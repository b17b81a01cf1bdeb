using System.Collections.Frozen;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Models;

namespace Lamina.Coordinator.Cells;

/// <summary>Names of a cell's suspended nodes, held against those who ask this coordinator's link port for blobs: one that is suspended opens no link, and is answered no more on one that it has.</summary>
internal sealed class SuspendedNodes
{
    private volatile FrozenSet<string> _names = [];

    public void Change(IEnumerable<string> names) => _names = names.ToFrozenSet(StringComparer.Ordinal);

    public LinkDecision Serve(PeerIdentity peer, IBlobStore store) => Contains(peer)
        ? new LinkDecision(null, Refusal(peer))
        : new LinkDecision(link => new Watched(new BlobServer(link, store), this), null);

    private bool Contains(PeerIdentity peer) => peer.Role == PeerRole.Node && _names.Contains(peer.Name);

    private static string Refusal(PeerIdentity peer) => $"node {peer.Name} is suspended";

    /// <summary>Looks at each frame, because the link may be older than the suspension.</summary>
    private sealed class Watched(BlobServer server, SuspendedNodes suspended) : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            if (suspended.Contains(link.Peer))
            {
                link.Close(Refusal(link.Peer));
            }
            else
            {
                server.OnFrame(link, kind, epoch, step, payload);
            }
        }

        public void OnClosed(Link link, string reason) => server.OnClosed(link, reason);
    }
}
