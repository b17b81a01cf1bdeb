using System.Diagnostics;
using Akka.Actor;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Cells;

/// <summary>Certificates and roots change while two members talk, on both kinds of connection.</summary>
public sealed class RotationTests : IDisposable
{
    private static readonly TenantId s_acme = new("acme");

    private readonly TestFolder _folder = new();

    [Trait("Attack", "H5")]
    [Fact]
    public async Task RotateLeavesAndRoot_UnderTraffic_NoMessageIsLostAndNewConnectionsShowTheNewCertificate()
    {
        PkiFolder pki = PkiFolder.Init(Path.Combine(_folder.Path, "pki"), "test.lamina");
        pki.AddTenant(s_acme);
        CertificateFiles frontFiles = pki.Issue(s_acme, PeerRole.Coordinator, "front", TestCell.Loopback), nodeFiles = pki.Issue(s_acme, PeerRole.Node, "a", TestCell.Loopback);
        using CertificateProvider ofFront = CertificateProvider.FromFiles(frontFiles), ofNode = CertificateProvider.FromFiles(nodeFiles);
        await using CellMembers cell = new();
        CellSystem front = await cell.StartAsync(ofFront, []), node = await cell.StartAsync(ofNode, [front.ControlEndpoint]);
        await cell.AllUpAsync(2);
        node.System.ActorOf(Props.Create(() => new Answerer()), "entry");
        ActorSelection entry = front.System.ActorSelection($"akka.mtls://cell-acme@{node.ControlEndpoint}/user/entry");
        await using LinkListener listener = LinkListener.Start(LinkPair.Quick, ofNode, (_, _) => new LinkDecision(_ => new RecordingHandler(), null));
        using Link longLived = await DialAsync();
        longLived.Start(new RecordingHandler());

        Action[] steps = [() => pki.RotateLeaves(s_acme), () => pki.AddRoot(s_acme), () => pki.RotateLeaves(s_acme), () => pki.DropOldRoots(s_acme)];
        foreach (Action step in steps)
        {
            string before = ofNode.Current.Certificate.SerialNumber;
            step();

            // One side is always first.
            ofNode.Reload();
            await TalkAsync();
            ofFront.Reload();
            await TalkAsync();
            Assert.Null(ofNode.ReloadProblem);
            using RawPeer seen = await RawPeer.AuthenticateAsync(node.ControlEndpoint, ofFront.Current.Certificate, "lamina-akka/1");
            Assert.Equal(ofNode.Current.Certificate.SerialNumber, seen.Ssl.RemoteCertificate!.GetSerialNumberString());
        }

        Assert.DoesNotContain(cell.Log, line => line.Contains("unreachable", StringComparison.OrdinalIgnoreCase));

        async Task TalkAsync()
        {
            for (int i = 0; i < 20; i++)
            {
                await entry.Ask<NodeEvents.StageReady>(new NodeCommands.DescribeNode(s_acme), TimeSpan.FromSeconds(10));
                longLived.Send(FrameKind.Step, 1, i, new byte[100]);
            }

            (await DialAsync()).Dispose();
        }

        Task<Link> DialAsync() => LinkDialler.DialAsync(listener.Endpoint, "a", LinkPair.HelloOf("front", purpose: LinkPurpose.Generations), LinkPair.Quick, ofFront, default);
    }

    [Fact]
    public async Task DenyList_NamesAConnectedMember_ItsConnectionEnds()
    {
        await using CellMembers cell = new();
        CertificateFiles files = cell.Certificates.Files(PeerRole.Coordinator, "front");
        using CertificateProvider ofFront = CertificateProvider.FromFiles(files);
        CellSystem front = await cell.StartAsync(ofFront, []);
        await cell.NodeAsync("a", front.ControlEndpoint);
        await cell.AllUpAsync(2);

        await File.WriteAllTextAsync(files.DenyListPath, "spiffe://test.lamina/tenant/acme/node/a\n");

        await Eventually.TrueAsync(() => cell.Log.Any(line => line.Contains("on the deny-list", StringComparison.Ordinal)));
        await Eventually.TrueAsync(() => Akka.Cluster.Cluster.Get(front.System).State.Unreachable.Count == 1);
        Assert.True(ofFront.Refusals(RefusalReason.Denied) > 0);
    }

    [Fact]
    public async Task DenyList_NamesThePeerOfAnOpenLink_TheLinkIsClosed()
    {
        using TestCell cell = new();
        CertificateFiles files = cell.Files(PeerRole.Node, "b");
        using CertificateProvider ofB = CertificateProvider.FromFiles(files);
        RecordingHandler atB = new(), atA = new();
        await using LinkListener listener = LinkListener.Start(LinkPair.Quick, ofB, (_, _) => new LinkDecision(_ => atB, null));
        using Link link = await LinkDialler.DialAsync(listener.Endpoint, "b", LinkPair.HelloOf("a"), LinkPair.Quick, cell.Node("a"), default);
        link.Start(atA);

        await File.WriteAllTextAsync(files.DenyListPath, "spiffe://test.lamina/tenant/acme/node/a\n");
        ofB.Reload();

        Assert.Equal("the peer is on the deny-list", await atB.Closed);
        Assert.Equal("closed by b: the peer is on the deny-list", await atA.Closed);
    }

    [Fact]
    public async Task MaxAge_Passed_ConnectionIsReplacedAndTalkGoesOn()
    {
        await using CellMembers cell = new() { Transport = new MtlsOptions { MaxAge = TimeSpan.FromMilliseconds(300) } };
        CellSystem front = await cell.FrontAsync(), node = await cell.NodeAsync("a", front.ControlEndpoint);
        await cell.AllUpAsync(2);
        node.System.ActorOf(Props.Create(() => new Answerer()), "entry");
        ActorSelection entry = front.System.ActorSelection($"akka.mtls://cell-acme@{node.ControlEndpoint}/user/entry");
        Stopwatch watch = Stopwatch.StartNew();
        int answers = 0;
        while (watch.ElapsedMilliseconds < 4000 || answers < 20)
        {
            // A message may fall into the gap; the next must not.
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    await entry.Ask<NodeEvents.StageReady>(new NodeCommands.DescribeNode(s_acme), TimeSpan.FromMilliseconds(300));
                    return true;
                }
                catch (AskTimeoutException)
                {
                    return false;
                }
            });
            answers++;
        }

        Assert.False(front.Stopped.IsCompleted || node.Stopped.IsCompleted);
    }

    public void Dispose() => _folder.Dispose();

    private sealed class Answerer : ReceiveActor
    {
        public Answerer() => ReceiveAny(_ => Sender.Tell(new NodeEvents.StageReady(s_acme, default, new NodeName("a"))));
    }
}
