using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Node.Local;
using Lamina.Node.Tests.Support;
using static Lamina.Node.Tests.Support.Generations;

namespace Lamina.Node.Tests.Stages;

/// <summary>Three real nodes: fetch, load, connect, generate, lose, unload.</summary>
public sealed class PipelineOverLinksTests : IAsyncLifetime
{
    private TestCell _cell = null!;

    public async ValueTask InitializeAsync() => _cell = await TestCell.StartAsync("a", "b", "c");

    public ValueTask DisposeAsync() => _cell.DisposeAsync();

    [Fact]
    public async Task Generations_OverThreeNodes_EqualThoseOfOneProcess()
    {
        await _cell.StartNodesAsync("a", "b", "c");
        GenerationProtocol.Submit[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(Prompt(i, 5 + (i * 20)), 30, i % 2 == 0 ? Greedy : Seeded((ulong)i)))];
        var expected = new List<int[]>();
        using (LocalEngine engine = LocalEngine.Load(_cell.Model.File, TestCell.Settings))
        {
            foreach (GenerationProtocol.Submit request in requests)
            {
                expected.Add((await RunAsync(engine, request)).Tokens);
            }
        }

        await _cell.DeployAsync(1, "a", "b", "c");
        using TestHeadLink head = await _cell.OpenHeadAsync("a", 1);
        List<int>[] tokens = [.. requests.Select(_ => new List<int>())];
        GenerationProtocol.GenerationEnded[] ended = await Task.WhenAll(requests.Select((r, i) => head.Submit(r, tokens[i]))).WaitAsync(Deadline);
        Assert.All(ended, e => Assert.Equal((GenerationOutcome.Length, 30), (e.Outcome, e.Tokens)));
        Assert.Equal(expected, tokens.Select(t => t.ToArray()));
    }

    [Fact]
    public async Task Cancel_OverTheLink_EndsTheGeneration()
    {
        await _cell.StartNodesAsync("a", "b");
        await _cell.DeployAsync(1, "a", "b");
        using TestHeadLink head = await _cell.OpenHeadAsync("a", 1);
        GenerationProtocol.Submit request = Request(Prompt(1, 10), 240);
        // Tokens may come several at a time.
        int reports = 0;
        Task<GenerationProtocol.GenerationEnded> run = head.Submit(request, [], _ =>
        {
            if (++reports == 1)
            {
                head.Cancel(request.Generation);
            }
        });
        Assert.Equal(GenerationOutcome.Cancelled, (await run.WaitAsync(Deadline)).Outcome);
    }

    /// <summary>Whoever knows a generation's identifier but did not submit it moves nothing with it over a link of its own, and another tenant's name in the message costs it that link.</summary>
    [Trait("Attack", "B9")]
    [Fact]
    public async Task Generation_OfAnotherLink_IsNeitherCancelledNorAllowedNorTakenByAnotherTenant()
    {
        await _cell.StartNodesAsync("a", "b");
        await _cell.DeployAsync(1, "a", "b");
        using TestHeadLink owner = await _cell.OpenHeadAsync("a", 1), other = await _cell.OpenHeadAsync("a", 1), foreign = await _cell.OpenHeadAsync("a", 1);
        GenerationProtocol.Submit request = Request(Prompt(1, 10), 40) with { Allowed = 20 };
        var tokens = new List<int>();
        var paused = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<GenerationProtocol.GenerationEnded> run = owner.Submit(request, tokens, count =>
        {
            if (count == 20)
            {
                paused.TrySetResult();
            }
        });
        await paused.Task.WaitAsync(Deadline);

        // It stands at what its owner allowed. What the others ask for is dealt with before the generation that they submit last, and that ends.
        other.Cancel(request.Generation);
        other.Allow(TestCell.Tenant, request.Generation, 40);
        Assert.Equal(GenerationOutcome.Length, (await other.Submit(Request(Prompt(2, 10), 5), []).WaitAsync(Deadline)).Outcome);
        foreign.Allow(new TenantId("other"), request.Generation, 40);
        Assert.Contains("names another tenant", await foreign.Closed.WaitAsync(Deadline), StringComparison.Ordinal);
        using TestHeadLink again = await _cell.OpenHeadAsync("a", 1);
        Task<GenerationProtocol.GenerationEnded> taken = again.Submit(request with { Tenant = new TenantId("other") }, []);
        Assert.Contains("names another tenant", await again.Closed.WaitAsync(Deadline), StringComparison.Ordinal);
        await Assert.ThrowsAsync<LinkClosedException>(() => taken);
        Assert.False(run.IsCompleted);
        Assert.Equal(20, tokens.Count);

        owner.Allow(TestCell.Tenant, request.Generation, 40);
        Assert.Equal((GenerationOutcome.Length, 40), (await run.WaitAsync(Deadline) is var ended ? (ended.Outcome, ended.Tokens) : default));
    }

    [Fact]
    public async Task Stage_Lost_IsReportedByItsNeighboursAndClosesTheCoordinatorsLinkWithoutEndingTheGeneration()
    {
        await _cell.StartNodesAsync("a", "b", "c");
        await _cell.DeployAsync(1, "a", "b", "c");
        using TestHeadLink head = await _cell.OpenHeadAsync("a", 1);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task generating = Task.Run(async () =>
        {
            while (true)
            {
                GenerationProtocol.GenerationEnded ended = await head.Submit(Request(Prompt(1, 10), 200), [], _ => started.TrySetResult());
                Assert.Equal(GenerationOutcome.Length, ended.Outcome);
            }
        });
        await started.Task.WaitAsync(Deadline);
        await _cell.StopNodeAsync("b");
        NodeEvents.StageFailed failed = await _cell.ReportAsync<NodeEvents.StageFailed>(f => f.Node.Value == "a");
        Assert.Equal(StageFailure.LinkLost, failed.Failure);
        Assert.Equal(StageFailure.LinkLost, (await _cell.ReportAsync<NodeEvents.StageFailed>(f => f.Node.Value == "c")).Failure);
        await Assert.ThrowsAsync<LinkClosedException>(() => generating.WaitAsync(Deadline));
    }

    [Trait("Attack", "I4")]
    [Theory]
    [InlineData(LinkPurpose.Activations, 1, "stage tiny/1/0/1 follows a, not c")]
    [InlineData(LinkPurpose.Tokens, 0, "stage tiny/1/0/0 follows b, not c")]
    public async Task Link_FromANodeThatIsNotThePredecessor_IsRefused(LinkPurpose purpose, int stage, string reason)
    {
        await _cell.StartNodesAsync("a", "b");
        await _cell.LoadAsync("a", _cell.Plan(1, 0, 2) with { Predecessor = new NodeName("b") });
        await _cell.LoadAsync("b", _cell.Plan(1, 1, 2) with { Predecessor = new NodeName("a") });
        NodeOptions other = _cell.Options("c");
        using CertificateProvider certificates = CertificateProvider.FromFiles(other.CertificatePath, other.KeyPath, other.TrustBundlePath);
        var hello = new LinkHello(LinkHello.CurrentVersion, purpose, TestCell.Tenant, "c", _cell.Address(1, stage));
        string target = stage == 0 ? "a" : "b";

        LinkClosedException e = await Assert.ThrowsAsync<LinkClosedException>(
            () => LinkDialler.DialAsync(_cell.Nodes[target].LinkEndpoint, target, hello, new LinkOptions(), certificates, default));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
    }

    [Trait("Attack", "C9")]
    [Fact]
    public async Task Stage_Unloaded_FreesItsMemoryAndTakesNoMoreLinks()
    {
        await _cell.StartNodesAsync("a");
        await _cell.DeployAsync(1, "a");
        NodeEvents.NodeDescribed Last() => _cell.Reports.OfType<NodeEvents.NodeDescribed>().Last();

        // What the node said before it loaded anything must not be taken for what it says after.
        await _cell.ReportAsync<NodeEvents.NodeDescribed>(_ => Last().Stages.Count == 1, () => _cell.Tell("a", new NodeCommands.DescribeNode(TestCell.Tenant)));
        _cell.Tell("a", new NodeCommands.UnloadStage(TestCell.Tenant, _cell.Address(1, 0)));
        await _cell.ReportAsync<NodeEvents.NodeDescribed>(_ => Last() is { Stages.Count: 0, MemoryUsedBytes: 0 }, () => _cell.Tell("a", new NodeCommands.DescribeNode(TestCell.Tenant)));
        LinkClosedException e = await Assert.ThrowsAsync<LinkClosedException>(() => _cell.OpenHeadAsync("a", 1));
        Assert.Contains("stage tiny/1/0/0 is not on this node", e.Message, StringComparison.Ordinal);
    }

    [Trait("Attack", "B9")]
    [Trait("Attack", "I4")]
    [Fact]
    public async Task LoadStage_OfAnOlderEpoch_IsRefused()
    {
        await _cell.StartNodesAsync("a");
        await _cell.LoadAsync("a", _cell.Plan(5, 0, 1));
        _cell.Tell("a", _cell.Plan(4, 0, 1));
        NodeEvents.StageFailed failed = await _cell.ReportAsync<NodeEvents.StageFailed>(f => f.Address.Epoch == 4);
        Assert.Equal((StageFailure.Superseded, "epoch 4 is older than 5"), (failed.Failure, failed.Reason));
    }

    [Trait("Attack", "M3")]
    [Fact]
    public async Task LoadStage_NeedingMoreMemoryThanTheNodeHas_IsRefusedWithBothFigures()
    {
        await _cell.StartNodesAsync("a");
        _cell.Tell("a", _cell.Plan(1, 0, 1, TestCell.Settings with { KvBlocks = 200_000_000 }));
        NodeEvents.StageFailed failed = await _cell.ReportAsync<NodeEvents.StageFailed>(f => f.Address.Epoch == 1);
        Assert.Equal(StageFailure.OutOfMemory, failed.Failure);
        Assert.Contains("needs", failed.Reason, StringComparison.Ordinal);
    }

    [Trait("Attack", "H1")]
    [Fact]
    public async Task LoadStage_WithADamagedCache_FetchesTheBlobAgain()
    {
        await _cell.StartNodesAsync("a");
        await _cell.LoadAsync("a", _cell.Plan(1, 0, 1));
        string blob = Path.Combine(_cell.CachePath("a"), _cell.Store.Manifest.Tensors[3].Digest);
        byte[] bytes = File.ReadAllBytes(blob);
        bytes[0] ^= 1;
        File.Delete(blob);
        File.WriteAllBytes(blob, bytes);
        await _cell.LoadAsync("a", _cell.Plan(2, 0, 1));
        bytes[0] ^= 1;
        Assert.Equal(bytes, File.ReadAllBytes(blob));
    }

    [Trait("Attack", "H1")]
    [Fact]
    public async Task LoadStage_FromASourceThatLies_FailsAsCorruptAndKeepsNothing()
    {
        await _cell.StartNodesAsync("a");
        string digest = _cell.Store.Manifest.Tensors[0].Digest;
        _cell.Store.Damaged.Add(digest);
        _cell.Tell("a", _cell.Plan(1, 0, 1));
        NodeEvents.StageFailed failed = await _cell.ReportAsync<NodeEvents.StageFailed>(_ => true);
        Assert.Equal(StageFailure.Corrupt, failed.Failure);
        Assert.False(File.Exists(Path.Combine(_cell.CachePath("a"), digest)));
    }

    [Fact]
    public async Task LoadStage_FromAPeerNode_NeedsNoCoordinator()
    {
        await _cell.StartNodesAsync("a", "b");
        await _cell.LoadAsync("a", _cell.Plan(1, 0, 1));
        int before = _cell.Store.Opened;
        await _cell.LoadAsync("b", _cell.Plan(2, 0, 1, sources: [_cell.Nodes["a"].LinkEndpoint]));
        Assert.Equal(before, _cell.Store.Opened);
    }

    [Trait("Attack", "B9")]
    [Trait("Attack", "I4")]
    [Fact]
    public async Task Command_OfAnotherTenant_IsIgnored()
    {
        await _cell.StartNodesAsync("a");
        _cell.Tell("a", _cell.Plan(7, 0, 1) with { Tenant = new TenantId("other") });
        await _cell.LoadAsync("a", _cell.Plan(1, 0, 1));
        Assert.DoesNotContain(_cell.Reports.OfType<NodeEvents.StageProgress>(), p => p.Address.Epoch == 7);
    }
}
