using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Links;

/// <summary>What an authenticated member may take of a process that serves other cells too.</summary>
public sealed class LinkCapTests
{
    [Trait("Attack", "B6")]
    [Fact]
    public async Task Links_OfOnePeer_AreCappedAndAnotherPeerIsServed()
    {
        await using LinkPair pair = new(LinkPair.Quick with { MaxPerPeer = 3 });
        List<Link> open = [];
        for (int i = 0; i < 3; i++)
        {
            open.Add(await pair.DialAsync());
        }

        LinkClosedException refused = await Assert.ThrowsAsync<LinkClosedException>(() => pair.DialAsync());
        Assert.Contains("a has 3 links for Activations open here", refused.Message, StringComparison.Ordinal);
        Assert.Equal(1, pair.B.Refusals(RefusalReason.Capacity));
        Assert.True((await pair.DialAsync(hello: LinkPair.HelloOf("a", purpose: LinkPurpose.Tokens))).IsOpen);
        Assert.True((await pair.DialAsync(pair.Cell.Node("c"), LinkPair.HelloOf("c"))).IsOpen);

        // What ends makes room.
        open[0].Dispose();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return (await pair.DialAsync()).IsOpen;
            }
            catch (LinkClosedException)
            {
                return false;
            }
        });
    }

    /// <summary>Whoever asks for blobs sends requests of a kilobyte; a coordinator sets no megabytes aside for them.</summary>
    [Trait("Attack", "B6")]
    [Fact]
    public async Task Frame_LongerThanABlobRequest_IsRefusedBeforeItIsRead()
    {
        await using LinkPair pair = new();
        using RawPeer peer = await RawPeer.AuthenticateAsync(pair.Listener.Endpoint, pair.Cell.Leaf(uris: ["spiffe://test.lamina/tenant/acme/node/a"]));
        await peer.SendAsync(FrameKind.Hello, Wire.Encode(LinkPair.HelloOf("a", purpose: LinkPurpose.Blobs)));
        Assert.Equal(FrameKind.HelloAccepted, (await peer.ReadAsync()).Kind);

        await peer.SendAsync(FrameKind.BlobRequest, [], length: 1025);

        Assert.Contains("over the limit of 1024", await pair.Handler.Closed, StringComparison.Ordinal);
    }

    [Trait("Attack", "B6")]
    [Fact]
    public async Task ControlConnections_OfOnePeer_AreCapped()
    {
        await using CellMembers cell = new() { Transport = new MtlsOptions { MaxPerPeer = 2 } };
        var front = await cell.FrontAsync();
        using AkkaPeer first = await OpenAsync("", await AkkaPeer.ConnectAsync(front.ControlEndpoint, LeafOf("a")), "a");
        using AkkaPeer second = await OpenAsync("", await AkkaPeer.ConnectAsync(front.ControlEndpoint, LeafOf("a")), "a");
        using AkkaPeer third = await OpenAsync("a has 2 connections open here, the most that one peer may have", await AkkaPeer.ConnectAsync(front.ControlEndpoint, LeafOf("a")), "a");
        using AkkaPeer other = await OpenAsync("", await AkkaPeer.ConnectAsync(front.ControlEndpoint, LeafOf("b")), "b");
        Assert.True(await third.IsCutAsync());

        System.Security.Cryptography.X509Certificates.X509Certificate2 LeafOf(string name) => cell.Certificates.Leaf(uris: [$"spiffe://test.lamina/tenant/acme/node/{name}"]);

        async Task<AkkaPeer> OpenAsync(string refusal, AkkaPeer peer, string name)
        {
            OpeningAnswer answer = await peer.OpenAsync(new Opening(Opening.CurrentVersion, OpeningPurpose.Associate, new TenantId("acme"), name, "cell-acme", peer.Home, front.ControlEndpoint));
            Assert.Equal(refusal, answer.Refusal);
            return peer;
        }
    }
}
