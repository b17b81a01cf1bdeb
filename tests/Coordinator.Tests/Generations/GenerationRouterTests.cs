using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Tests.Support;
using Prometheus;

namespace Lamina.Coordinator.Tests.Generations;

/// <summary>The router over real links to heads that misbehave.</summary>
public sealed class GenerationRouterTests : IAsyncDisposable
{
    private static readonly TenantId s_tenant = new("acme");

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-router-").FullName;
    private readonly EphemeralPki _pki;
    private readonly CertificateProvider _certificates;
    private readonly List<ScriptedHead> _heads = [];
    private GenerationRouter _router = new(new GenerationLimits());

    public GenerationRouterTests()
    {
        _pki = EphemeralPki.Create(_folder, s_tenant, ["front"], ["head"]);
        CertificateFiles files = _pki.Files(PeerRole.Coordinator, "front");
        _certificates = CertificateProvider.FromFiles(files.CertificatePath, files.KeyPath, files.TrustBundlePath);
    }

    public async ValueTask DisposeAsync()
    {
        _router.Dispose();
        foreach (ScriptedHead head in _heads)
        {
            await head.DisposeAsync();
        }

        _certificates.Dispose();
        _pki.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>What the audit log has of an answer is the plan that ended it, whatever serves when it is written.</summary>
    [Fact]
    public async Task Run_ThatMovesToTheNextEpoch_TellsTheEpochOfEachAttempt()
    {
        ScriptedHead first = Head(cutAfter: 3);
        ScriptedHead second = Head(cutAfter: null);
        ScriptedHead third = Head(cutAfter: null);
        await ServeAsync(1, first);
        var epochs = new List<int>();
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(prompt: 9, maxTokens: 10), _ => { }, CancellationToken.None, began: epochs.Add);
        await UntilAsync(() => first.Submissions == 1);
        await ServeAsync(4, second);
        Assert.Equal(GenerationOutcome.Length, (await run.WaitAsync(TimeSpan.FromSeconds(120))).Outcome);
        await ServeAsync(5, third);
        Assert.Equal([1, 4], epochs);
    }

    [Fact]
    public async Task Run_TokensNotTaken_AreNotComputedBeyondTheWindowAlsoAfterALoss()
    {
        ScriptedHead first = Head(cutAfter: 20);
        ScriptedHead second = Head(cutAfter: null);
        await ServeAsync(1, first);
        var flow = new GenerationFlow(8);
        int received = 0;
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(
            Submit(prompt: 9, maxTokens: 100), report => Interlocked.Add(ref received, report.Tokens.Length), CancellationToken.None, flow);
        for (int taken = 0; taken < 100; taken++)
        {
            if (taken == 14)
            {
                await ServeAsync(2, second);
            }

            // Half a window may be used up before the head hears of it.
            await UntilAsync(() => received >= Math.Min(100, taken + 5));
            Assert.True(received <= taken + 8, $"{received} tokens came while {taken} were taken");
            flow.Take(1);
        }

        Assert.Equal((GenerationOutcome.Length, 100), ((await run.WaitAsync(TimeSpan.FromSeconds(120))).Outcome, received));
    }

    [Fact]
    public async Task Run_HeadCutAgainAndAgain_GoesOnAtTheNextEpochWithEachTokenOnce()
    {
        CollectorRegistry registry = Metrics.NewCustomRegistry();
        using MeterExport metrics = new(registry);
        _router = new GenerationRouter(new GenerationLimits(), "cut-again");
        ScriptedHead first = Head(cutAfter: 3);
        ScriptedHead second = Head(cutAfter: 0, repeatsLast: true);
        ScriptedHead third = Head(cutAfter: 5, repeatsLast: true);
        ScriptedHead last = Head(cutAfter: null, repeatsLast: true);
        await ServeAsync(1, first);
        var tokens = new List<GenerationProtocol.TokensGenerated>();
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(prompt: 9, maxTokens: 12), tokens.Add, CancellationToken.None);
        foreach ((int epoch, ScriptedHead head) in new[] { (2, second), (3, third), (4, last) })
        {
            await ServeAsync(epoch, head);
            await UntilAsync(() => head.Submissions == 1);
        }

        GenerationProtocol.GenerationEnded ended = await run.WaitAsync(TimeSpan.FromSeconds(120));

        Assert.Equal((GenerationOutcome.Length, 12), (ended.Outcome, ended.Tokens));
        Assert.Equal(Enumerable.Range(0, 12), tokens.SelectMany(report => Enumerable.Range(report.FirstIndex, report.Tokens.Length)));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => (9 * 31) + (i * 7)), tokens.SelectMany(report => report.Tokens));

        // Three heads were lost; the second gave no new token, so the caller waited twice.
        using var text = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(text);
        string[] shown = System.Text.Encoding.UTF8.GetString(text.ToArray()).Split('\n');
        Assert.Contains("lamina_coordinator_failovers_total{tenant=\"acme\",model=\"cut-again\"} 3", shown);
        Assert.Contains("lamina_coordinator_failover_stall_seconds_count{tenant=\"acme\",model=\"cut-again\"} 2", shown);
    }

    [Fact]
    public async Task Run_ManyGenerationsOverAFlakyHead_AllEndWithTheirOwnTokens()
    {
        int cuts = 0;
        ScriptedHead flaky = Head(cutAfter: null);
        await ServeAsync(1, flaky);
        var runs = Enumerable.Range(1, 40).Select(async prompt =>
        {
            var tokens = new List<int>();
            GenerationProtocol.GenerationEnded ended = await _router.RunAsync(Submit(prompt, maxTokens: 20), report => tokens.AddRange(report.Tokens), CancellationToken.None);
            return ended.Outcome == GenerationOutcome.Length && tokens.SequenceEqual(Enumerable.Range(0, 20).Select(i => (prompt * 31) + (i * 7)));
        }).ToArray();
        for (; cuts < 2; cuts++)
        {
            await UntilAsync(() => flaky.Submissions > 0);
            _router.Stop(cuts + 1);
            await ServeAsync(cuts + 2, flaky);
        }

        Assert.All(await Task.WhenAll(runs).WaitAsync(TimeSpan.FromSeconds(120)), Assert.True);
        Assert.Equal(0, _router.Active);
    }

    [Fact]
    public async Task Run_PoisonThatLosesEveryHead_IsGivenUp()
    {
        ScriptedHead head = Head(cutAfter: 0);
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None);
        for (int epoch = 1; !run.IsCompleted; epoch++)
        {
            await ServeAsync(epoch, head);
            await UntilAsync(() => head.Submissions == epoch || run.IsCompleted);
        }

        GenerationProtocol.GenerationEnded ended = await run;
        Assert.Equal(GenerationOutcome.Failed, ended.Outcome);
        Assert.StartsWith("given up after 4 pipelines were lost", ended.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_EveryHeadLostAfterANewToken_IsNotTakenForPoison()
    {
        ScriptedHead head = Head(cutAfter: 1);
        var tokens = new List<int>();
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(3, 12), report => tokens.AddRange(report.Tokens), CancellationToken.None);
        for (int epoch = 1; !run.IsCompleted; epoch++)
        {
            await ServeAsync(epoch, head);
            await UntilAsync(() => head.Submissions == epoch || run.IsCompleted);
        }

        Assert.Equal((GenerationOutcome.Length, ""), ((await run).Outcome, (await run).Reason));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => (3 * 31) + (i * 7)), tokens);
    }

    [Fact]
    public async Task Run_ModelChanges_EachAnswerIsOfTheModelThatItBeganWith()
    {
        _router = new GenerationRouter(new GenerationLimits { ChangeGrace = TimeSpan.FromMinutes(10) });
        ScriptedHead old = Head(cutAfter: null);
        ScriptedHead next = Head(cutAfter: null);
        await ServeAsync(1, old, "old");
        await ServeAsync(2, next, "new");
        Task drained = _router.DrainAsync(1, hurried: false, CancellationToken.None);

        // Requests that were read before the change find the pipeline that is about to go.
        Assert.Equal(GenerationOutcome.Length, (await RunAsync(1, "old")).Outcome);
        Assert.Equal(GenerationOutcome.Length, (await RunAsync(2, "new")).Outcome);
        Assert.Equal((1, 1), (old.Submissions, next.Submissions));
        Assert.False(drained.IsCompleted);

        _router.Stop(1);
        Assert.Equal((GenerationOutcome.ModelReplaced, 0), ((await RunAsync(3, "old")).Outcome, (await RunAsync(3, "old")).Tokens));
        Assert.Equal((1, 1), (old.Submissions, next.Submissions));
    }

    [Fact]
    public async Task Run_ModelChangedWhileItsPipelineIsLost_EndsWithTheTokensItHasAndIsNotContinuedByTheOther()
    {
        ScriptedHead old = Head(cutAfter: 3);
        ScriptedHead next = Head(cutAfter: null);
        await ServeAsync(1, old, "old");
        var tokens = new List<int>();
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(9, 12), report => tokens.AddRange(report.Tokens), CancellationToken.None, model: "old");
        await UntilAsync(() => _router.OpenHeads(1) is null);
        _router.Stop(1);
        Assert.False(run.IsCompleted);
        await ServeAsync(2, next, "new");

        GenerationProtocol.GenerationEnded ended = await run.WaitAsync(TimeSpan.FromSeconds(120));
        Assert.Equal((GenerationOutcome.ModelReplaced, 3, 0), (ended.Outcome, ended.Tokens, next.Submissions));
        Assert.Equal(Enumerable.Range(0, 3).Select(i => (9 * 31) + (i * 7)), tokens);
    }

    [Fact]
    public async Task Run_NoPipelineInTime_Fails()
    {
        _router = new GenerationRouter(new GenerationLimits { RecoveryTime = TimeSpan.FromMilliseconds(50) });

        GenerationProtocol.GenerationEnded ended = await _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None);

        Assert.Equal(GenerationOutcome.Failed, ended.Outcome);
    }

    [Fact]
    public async Task Run_NoPipelineCanCome_EndsWithTheReasonInsteadOfWaiting()
    {
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None);
        Assert.False(run.IsCompleted);
        _router.SetHopeless("cut off");

        Assert.Equal((GenerationOutcome.Failed, "cut off"), ((await run).Outcome, (await run).Reason));

        // What stands goes on, and so does everything once there is hope again.
        await ServeAsync(1, Head(cutAfter: null));
        Assert.Equal(GenerationOutcome.Length, (await _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None)).Outcome);
        _router.Stop(1);
        _router.SetHopeless(null);
        run = _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None);
        await ServeAsync(2, Head(cutAfter: null));
        Assert.Equal(GenerationOutcome.Length, (await run).Outcome);
    }

    [Fact]
    public async Task Run_MoreThanAllowed_IsRefusedAtOnce()
    {
        _router = new GenerationRouter(new GenerationLimits { MaxActive = 1 });
        using var stop = new CancellationTokenSource();
        Task<GenerationProtocol.GenerationEnded> first = _router.RunAsync(Submit(1, 5), _ => { }, stop.Token);

        GenerationProtocol.GenerationEnded second = await _router.RunAsync(Submit(2, 5), _ => { }, CancellationToken.None);
        await stop.CancelAsync();

        Assert.Equal(GenerationOutcome.Refused, second.Outcome);
        Assert.Equal(GenerationOutcome.Cancelled, (await first).Outcome);
        Assert.Equal(0, _router.Active);
    }

    [Fact]
    public async Task Cancel_WhileItRuns_TellsTheHead()
    {
        ScriptedHead head = Add(new ScriptedHead(_pki, "head") { Holds = true });
        await ServeAsync(1, head);
        using var stop = new CancellationTokenSource();
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(1, 5), _ => { }, stop.Token);
        await UntilAsync(() => head.Submissions == 1);
        await stop.CancelAsync();

        Assert.Equal(GenerationOutcome.Cancelled, (await run).Outcome);
        await UntilAsync(() => head.Cancels == 1);
    }

    [Fact]
    public async Task Dispose_WhileItRuns_EndsIt()
    {
        ScriptedHead head = Add(new ScriptedHead(_pki, "head") { Holds = true });
        await ServeAsync(1, head);
        Task<GenerationProtocol.GenerationEnded> run = _router.RunAsync(Submit(1, 5), _ => { }, CancellationToken.None);
        await UntilAsync(() => head.Submissions == 1);
        _router.Dispose();

        Assert.Equal(GenerationOutcome.Failed, (await run.WaitAsync(TimeSpan.FromSeconds(120))).Outcome);
    }

    private ScriptedHead Head(int? cutAfter, bool repeatsLast = false) =>
        Add(new ScriptedHead(_pki, "head") { CutAfter = _ => cutAfter, RepeatsLast = repeatsLast });

    private ScriptedHead Add(ScriptedHead head)
    {
        _heads.Add(head);
        return head;
    }

    private async Task ServeAsync(int epoch, ScriptedHead head, string? model = null)
    {
        var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Generations, s_tenant, "front", new StageAddress(new DeploymentId("m"), epoch, 0, 0));
        Link link = await LinkDialler.DialAsync(head.Endpoint, head.Node, hello, new LinkOptions(), _certificates, CancellationToken.None);
        _router.Add(epoch, [HeadLink.Start(link, epoch)], model);
        _router.Serve(epoch);
    }

    private Task<GenerationProtocol.GenerationEnded> RunAsync(int prompt, string model) =>
        _router.RunAsync(Submit(prompt, 5), _ => { }, CancellationToken.None, model: model).WaitAsync(TimeSpan.FromSeconds(120));

    private static GenerationProtocol.Submit Submit(int prompt, int maxTokens) => new(
        s_tenant, new GenerationId(1, (ulong)prompt), [prompt], [], maxTokens, [], SamplingSettings.From(new SamplingParameters()), 0);

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        while (!condition())
        {
            await Task.Delay(2, deadline.Token);
        }
    }
}
