using System.Collections.Immutable;
using Akka.Actor;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>One governor and two coordinators that ask it.</summary>
public sealed class GovernorTests : IDisposable
{
    private static readonly TenantId s_tenant = new("acme");
    private static readonly RequestCost s_cost = new(10, 10, 1, 100);
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(120);

    private readonly ActorSystem _system = ActorSystem.Create("governor", "akka { loglevel = OFF, stdout-loglevel = OFF }");

    public void Dispose() => _system.Dispose();

    [Fact]
    public async Task Requests_OfTwoCoordinators_ShareTheTenantsRate()
    {
        (ClusterGovernor first, ClusterGovernor second, _) = Create(new QuotaRules { RequestsPerMinute = 3 });
        Assert.True((await AskAsync(first)).Decision.Runs);
        Assert.True((await AskAsync(second)).Decision.Runs);
        QuotaVerdict third = await AskAsync(first);
        Assert.True(third.Decision.Runs);
        Assert.Equal((3L, 0L), (third.Limits.Requests!.Value.Limit, third.Limits.Requests.Value.Remaining));
        QuotaVerdict fourth = await AskAsync(second);
        Assert.Equal(QuotaReason.RequestsPerMinute, fourth.Decision.Refusal);
        Assert.InRange(fourth.Decision.RetryMilliseconds, 1, 20_000);
    }

    [Fact]
    public async Task Requests_UsedUp_AreRefusedAtALookUntilTheRefusalIsOldOrTheRulesChange()
    {
        var time = new ManualTime();
        ClusterGovernor governor = Client(_system.ActorOf(Props.Create(() => new UsedUp())), "first", QuotaRules.Unlimited, time);
        Assert.Null(governor.Look("k"));
        QuotaVerdict refused = await AskAsync(governor);
        QuotaVerdict again = Assert.NotNull(governor.Look("k"));
        Assert.Equal((QuotaReason.RequestsPerDay, 60_000L, new RateLimits(new RateLimit(10, 0, TimeSpan.FromMinutes(1)), null)), (again.Decision.Refusal, again.Decision.RetryMilliseconds, again.Limits));
        Assert.Equal(refused, again);
        Assert.Null(governor.Look("other"));
        time.Advance(TimeSpan.FromMilliseconds(400));
        Assert.Equal((59_600L, TimeSpan.FromMilliseconds(59_600)), (governor.Look("k")!.Value.Decision.RetryMilliseconds, governor.Look("k")!.Value.Limits.Requests!.Value.Reset));
        time.Advance(TimeSpan.FromMilliseconds(600));
        Assert.Null(governor.Look("k"));

        Assert.NotNull((await AskAsync(governor)).Decision.Refusal);
        Assert.NotNull(governor.Look("k"));
        governor.Change(new TenantQuotas());
        Assert.Null(governor.Look("k"));
    }

    [Fact]
    public async Task Place_FreedAtOneCoordinator_GoesToWhoWaitsAtTheOther()
    {
        (ClusterGovernor first, ClusterGovernor second, _) = Create(new QuotaRules { ConcurrentGenerations = 1 });
        var running = Guid.NewGuid();
        Assert.True((await first.AdmitAsync(running, "k", s_cost, default)).Decision.Runs);
        Task<QuotaVerdict> waiting = AskAsync(second);
        Task<QuotaVerdict> gone = second.AdmitAsync(Guid.NewGuid(), "k", s_cost, new CancellationTokenSource(TimeSpan.FromMilliseconds(300)).Token).AsTask();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        Assert.False(waiting.IsCompleted);
        first.Settle(running, 10, 10);
        Assert.True((await waiting.WaitAsync(s_deadline)).Decision.Runs);
    }

    [Fact]
    public async Task Governor_ThatMoved_KnowsWhatRunsFromTheCoordinators()
    {
        IActorRef moved = Governor(new QuotaRules { ConcurrentGenerations = 2 });
        moved.Tell(new GovernorProtocol.HoldQuota(s_tenant, "first", [Reserve("first"), Reserve("first")]));
        GovernorProtocol.QuotaDecided decided = await moved.Ask<GovernorProtocol.QuotaDecided>(Reserve("second"), s_deadline);
        Assert.True(decided.Waits);
    }

    [Fact]
    public async Task Governor_OfAnotherTenant_IsNotReached()
    {
        IActorRef governor = Governor(QuotaRules.Unlimited);
        await Assert.ThrowsAsync<AskTimeoutException>(() => governor.Ask<GovernorProtocol.QuotaDecided>(Reserve("first") with { Tenant = new TenantId("other") }, TimeSpan.FromMilliseconds(500)));
    }

    [Fact]
    public async Task Governor_ThatDoesNotAnswer_LeavesEachCoordinatorItsPartOfTheRules()
    {
        ClusterGovernor alone = Client(_system.DeadLetters, "first", new QuotaRules { RequestsPerMinute = 4 });
        Assert.True((await AskAsync(alone)).Decision.Runs);
        Assert.True((await AskAsync(alone)).Decision.Runs);
        Assert.Equal(QuotaReason.RequestsPerMinute, (await AskAsync(alone)).Decision.Refusal);
    }

    /// <summary>A governor for whom the day's requests are used up.</summary>
    private sealed class UsedUp : ReceiveActor
    {
        public UsedUp() => Receive<GovernorProtocol.ReserveQuota>(reserve => Sender.Tell(new GovernorProtocol.QuotaDecided(
            s_tenant, reserve.Reservation, false, (int)QuotaReason.RequestsPerDay, 60_000, new GovernorProtocol.QuotaLeft(10, 0, 60_000), null)));
    }

    private (ClusterGovernor First, ClusterGovernor Second, IActorRef Governor) Create(QuotaRules rules)
    {
        IActorRef governor = Governor(rules);
        return (Client(governor, "first", rules), Client(governor, "second", rules), governor);
    }

    private IActorRef Governor(QuotaRules rules)
    {
        var sources = new GovernorSources(_ => new TenantQuotas { Tenant = rules }, _ => Task.FromResult(ImmutableDictionary<string, DayUse>.Empty));
        return _system.ActorOf(Props.Create(() => new GovernorActor(s_tenant, sources)));
    }

    private ClusterGovernor Client(IActorRef region, string holder, QuotaRules rules, TimeProvider? time = null) =>
        new(_system, region, s_tenant, holder, 2, TenantBudget.Start(new TenantQuotas { Tenant = rules }, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()), time ?? TimeProvider.System);

    private static async Task<QuotaVerdict> AskAsync(ClusterGovernor governor) => await governor.AdmitAsync(Guid.NewGuid(), "k", s_cost, default).AsTask().WaitAsync(s_deadline);

    private static GovernorProtocol.ReserveQuota Reserve(string holder) => new(s_tenant, Guid.NewGuid().ToString("n"), holder, "k", 10, 10, 1, 100);
}
