using System.Diagnostics;
using Lamina.Cli.Chaos;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using Lamina.Cluster.Tests.Support;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Tests.Cells;

public sealed class CellSystemTests
{
    [Fact]
    public async Task StartAsync_CoordinatorAndThreeNodes_FormOneCellQuickly()
    {
        await using CellMembers cell = new();
        Stopwatch watch = Stopwatch.StartNew();
        CellSystem front = await cell.FrontAsync();
        await Task.WhenAll(cell.NodeAsync("a", front.ControlEndpoint), cell.NodeAsync("b", front.ControlEndpoint), cell.NodeAsync("c", front.ControlEndpoint));

        await cell.AllUpAsync(4);

        TestContext.Current.TestOutputHelper!.WriteLine($"formed in {watch.ElapsedMilliseconds} ms");
        Assert.Empty(cell.Log);
        Assert.InRange(watch.ElapsedMilliseconds, 0, 60_000);
        Assert.Equal("akka.mtls", AkkaCluster.Get(front.System).SelfAddress.Protocol);
    }

    [Fact]
    public async Task StartAsync_NodesBeforeTheirCoordinator_JoinOnceItIsThere()
    {
        await using CellMembers cell = new();
        Endpoint seed = FreeEndpoint();
        CellSystem a = await cell.NodeAsync("a", seed);

        await cell.StartAsync(cell.Certificates.Coordinator("front"), [], o => o with { Transport = o.Transport with { Port = seed.Port } });

        await a.WaitUpAsync(new CancellationTokenSource(CellMembers.Patience).Token);
        await cell.AllUpAsync(2);
    }

    [Fact]
    public async Task DisposeAsync_Node_LeavesWithinSecondsAndTheOthersForgetIt()
    {
        await using CellMembers cell = new();
        CellSystem front = await cell.FrontAsync();
        CellSystem node = await cell.NodeAsync("a", front.ControlEndpoint);
        await cell.AllUpAsync(2);
        Stopwatch watch = Stopwatch.StartNew();

        await node.DisposeAsync();

        Assert.InRange(watch.ElapsedMilliseconds, 0, 60_000);
        TestContext.Current.TestOutputHelper!.WriteLine($"left in {watch.ElapsedMilliseconds} ms");
        await Eventually.TrueAsync(() => AkkaCluster.Get(front.System).State.Members.Count == 1, 30);
        Assert.Equal("stopped", await node.Stopped);
    }

    [Fact]
    public async Task StartAsync_SeedsThatNobodyAnswers_GivesUpAtTheDeadlineAndSaysSo()
    {
        await using CellMembers cell = new();
        CellSystem lonely = await cell.StartAsync(cell.Certificates.Node("a"), [FreeEndpoint()], o => o with { JoinDeadline = TimeSpan.FromSeconds(1) });

        Assert.Equal("no coordinator could be joined in time", await lonely.Stopped.WaitAsync(CellMembers.Patience));
    }

    [Fact]
    public async Task StartAsync_PortInUse_SaysSo()
    {
        await using CellMembers cell = new();
        CellSystem front = await cell.FrontAsync();

        IOException error = await Assert.ThrowsAsync<IOException>(() => cell.StartAsync(cell.Certificates.Coordinator("other"), [], o => o with { Transport = o.Transport with { Port = front.ControlEndpoint.Port } }));
        Assert.Equal($"cannot listen on 127.0.0.1:{front.ControlEndpoint.Port}: the port is in use", error.Message);
    }

    [Fact]
    public async Task StartAsync_CertificateThatDoesNotNameTheHost_SaysSo()
    {
        await using CellMembers cell = new();
        using CertificateProvider elsewhere = CertificateProvider.FromFiles(cell.Certificates.Files(PeerRole.Coordinator, "front", hosts: ["front.example.org"]));

        InvalidDataException error = await Assert.ThrowsAsync<InvalidDataException>(() => cell.StartAsync(elsewhere, []));
        Assert.Contains("does not name '127.0.0.1'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartAsync_NodeWithoutSeeds_SaysSo()
    {
        await using CellMembers cell = new();

        await Assert.ThrowsAsync<InvalidDataException>(() => cell.StartAsync(cell.Certificates.Node("a"), []));
    }

    [Trait("Attack", "I2")]
    [Trait("Attack", "E6")]
    [Fact]
    public async Task Join_ProcessOfAnotherTenant_NeverBecomesAMember()
    {
        await using CellMembers acme = new(), globex = new() { Certificates = new TestCell("globex") };
        CellSystem front = await acme.FrontAsync();

        CellSystem stranger = await globex.StartAsync(globex.Certificates.Node("a"), [front.ControlEndpoint], o => o with { JoinDeadline = TimeSpan.FromSeconds(2) });

        Assert.Equal("no coordinator could be joined in time", await stranger.Stopped.WaitAsync(CellMembers.Patience));
        Assert.Single(AkkaCluster.Get(front.System).State.Members);
        Assert.Contains(acme.Log, line => line.Contains("trusted root", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SelfTest_LinkPort_PassesOnOursAndFailsOnAPortThatLetsStrangersIn()
    {
        await using LinkPair pair = new();

        await SelfTest.RequireRefusalAsync(pair.Listener, pair.Options, pair.B, default);

        using RogueListener open = new(RogueBehaviour.GarbageAfterTls, pair.Cell.Leaf());
        InvalidDataException error = await Assert.ThrowsAsync<InvalidDataException>(() => SelfTest.RequireRefusalAsync("127.0.0.1", open.Endpoint.Port, pair.B, LinkHandshake.Protocol, default));
        Assert.Contains("let a connection without a certificate in", error.Message, StringComparison.Ordinal);
    }

    private static Endpoint FreeEndpoint() => new("127.0.0.1", FreePorts.Take());
}
