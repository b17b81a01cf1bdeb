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

    /// <summary>The request waits at the one governor; the next one, which knows nothing of it, lets it run when its turn has come.</summary>
    [Fact]
    public async Task Request_ThatWaitsWhileItsGovernorMoves_RunsWhenAPlaceIsFree()
    {
        var rules = new QuotaRules { ConcurrentGenerations = 1 };
        IActorRef region = _system.ActorOf(Props.Create(() => new Region(Governor(rules))));
        ClusterGovernor first = Client(region, "first", rules, beat: TimeSpan.FromMilliseconds(50));
        ClusterGovernor second = Client(region, "second", rules, beat: TimeSpan.FromMilliseconds(50));
        var running = Guid.NewGuid();
        Assert.True((await first.AdmitAsync(running, "k", s_cost, default)).Decision.Runs);
        Task<QuotaVerdict>[] waiting = [AskAsync(second), AskAsync(second)];
        IActorRef next = Governor(rules);
        await UntilAsync(async () => (await region.Ask<int>(nameof(Region), s_deadline)) >= 3);
        region.Tell(next);

        // As the region does, what was on its way to the old one is lost with it.
        first.Settle(running, 10, 10);
        QuotaVerdict ran = await (await Task.WhenAny(waiting).WaitAsync(s_deadline));
        Assert.True(ran.Decision.Runs);
        Assert.Equal(1, waiting.Count(one => one.IsCompleted));
    }

    [Fact]
    public async Task Request_AskedForAgain_IsReservedOnce()
    {
        IActorRef governor = Governor(new QuotaRules { ConcurrentGenerations = 1, QueueLength = 1, RequestsPerMinute = 2 });
        GovernorProtocol.ReserveQuota runs = Reserve("first"), waits = Reserve("second");
        Assert.Equal((false, null), await DecideAsync(governor, runs));
        Assert.Equal((true, null), await DecideAsync(governor, waits));
        Assert.Equal((true, null), await DecideAsync(governor, waits));
        Assert.Equal((false, null), await DecideAsync(governor, runs));
        Assert.Equal((false, (int)QuotaReason.RequestsPerMinute), await DecideAsync(governor, Reserve("first")));
    }

    /// <summary>The decision was lost, or the governor before this one had let it run.</summary>
    [Fact]
    public async Task Request_ToldOfAgainThatRuns_IsAnsweredAndHoldsItsPlaceOnce()
    {
        IActorRef governor = Governor(new QuotaRules { ConcurrentGenerations = 1 });
        GovernorProtocol.ReserveQuota runs = Reserve("first"), waits = Reserve("second");
        Assert.Equal((false, null), await DecideAsync(governor, runs));
        var hold = new GovernorProtocol.HoldQuota(s_tenant, "first", [], [runs]);
        GovernorProtocol.QuotaDecided again = await governor.Ask<GovernorProtocol.QuotaDecided>(hold, s_deadline);
        Assert.Equal((runs.Reservation, false, null), (again.Reservation, again.Waits, again.Refusal));

        Assert.Equal((true, null), await DecideAsync(governor, waits));
        governor.Tell(new GovernorProtocol.HoldQuota(s_tenant, "second", [waits]));
        governor.Tell(new GovernorProtocol.SettleQuota(s_tenant, runs.Reservation, 10, 10));
        GovernorProtocol.ReserveQuota third = Reserve("third");
        Assert.Equal((true, null), await DecideAsync(governor, third));
        governor.Tell(new GovernorProtocol.SettleQuota(s_tenant, waits.Reservation, 10, 10));
        Assert.Equal((false, null), await DecideAsync(governor, third));
    }

    [Fact]
    public void Hold_OfTheVersionBefore_HasNothingThatWaits()
    {
        byte[] before = MessagePack.MessagePackSerializer.Serialize(new object[] { "acme", "first", Array.Empty<object>() });
        Assert.Null(Wire.Decode<GovernorProtocol.HoldQuota>(before).Waiting);
    }

    private static async Task<(bool Waits, int? Refusal)> DecideAsync(IActorRef governor, GovernorProtocol.ReserveQuota reserve)
    {
        GovernorProtocol.QuotaDecided decided = await governor.Ask<GovernorProtocol.QuotaDecided>(reserve, s_deadline);
        return (decided.Waits, decided.Refusal);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var deadline = new CancellationTokenSource(s_deadline);
        while (!await condition())
        {
            await Task.Delay(5, deadline.Token);
        }
    }

    /// <summary>Passes messages on to the governor of the moment, and tells how many requests it passed on.</summary>
    private sealed class Region : ReceiveActor
    {
        public Region(IActorRef governor)
        {
            int passed = 0;
            Receive<IActorRef>(next => governor = next);
            Receive<string>(_ => Sender.Tell(passed));
            ReceiveAny(message =>
            {
                passed += message is GovernorProtocol.ReserveQuota ? 1 : 0;
                governor.Forward(message);
            });
        }
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

    private ClusterGovernor Client(IActorRef region, string holder, QuotaRules rules, TimeProvider? time = null, TimeSpan? beat = null) =>
        new(_system, region, s_tenant, holder, 2, TenantBudget.Start(new TenantQuotas { Tenant = rules }, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()), time ?? TimeProvider.System, beat);

    private static async Task<QuotaVerdict> AskAsync(ClusterGovernor governor) => await governor.AdmitAsync(Guid.NewGuid(), "k", s_cost, default).AsTask().WaitAsync(s_deadline);

    private static GovernorProtocol.ReserveQuota Reserve(string holder) => new(s_tenant, Guid.NewGuid().ToString("n"), holder, "k", 10, 10, 1, 100);
}
