using System.Collections.Immutable;
using Akka.Actor;
using Akka.Cluster.Sharding;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// The sharded entity that decides for a tenant with several coordinators: messages become commands to a <see cref="TenantBudget"/>. When it moves it begins with full minutes, the
/// day's use from the ledger, and what the coordinators say they run; so at a coordinator's death a minute's budget may be used twice, and nothing else.
/// </summary>
internal sealed class GovernorActor : ReceiveActor, IWithTimers, IWithUnboundedStash
{
    private static readonly TimeSpan s_checkInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(20);

    private readonly TenantId _tenant;
    private readonly GovernorSources _sources;
    private readonly Dictionary<Guid, IActorRef> _waiting = [];
    private readonly Dictionary<string, long> _holders = new(StringComparer.Ordinal);
    private TenantBudget _budget = null!;

    private sealed record Check : INoSerializationVerificationNeeded
    {
        public static readonly Check Instance = new();
    }

    private sealed record Begun(ImmutableDictionary<string, DayUse> Used) : INoSerializationVerificationNeeded;

    public GovernorActor(TenantId tenant, GovernorSources sources)
    {
        _tenant = tenant;
        _sources = sources;
        Receive<Begun>(OnBegun);
        Receive<Status.Failure>(_ => OnBegun(new Begun(ImmutableDictionary<string, DayUse>.Empty)));
        ReceiveAny(_ => Stash.Stash());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    public IStash Stash { get; set; } = null!;

    protected override void PreStart() => _sources.UsedToday(_tenant).PipeTo(Self, success: used => new Begun(used));

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private void OnBegun(Begun begun)
    {
        _budget = TenantBudget.Start(_sources.Rules(_tenant), Now, begun.Used);
        Become(() =>
        {
            Receive<GovernorProtocol.ReserveQuota>(OnReserve, message => message.Tenant == _tenant);
            Receive<GovernorProtocol.SettleQuota>(OnSettle, message => message.Tenant == _tenant);
            Receive<GovernorProtocol.HoldQuota>(OnHold, message => message.Tenant == _tenant);
            Receive<Check>(_ => DropSilent());
            Receive<Status.Failure>(_ => { });
        });
        Timers.StartPeriodicTimer(nameof(Check), Check.Instance, s_checkInterval);
        Stash.UnstashAll();
    }

    private void OnReserve(GovernorProtocol.ReserveQuota reserve)
    {
        if (!Guid.TryParse(reserve.Reservation, out Guid id) || !IsSound(reserve))
        {
            return;
        }

        _holders[reserve.Holder] = Now;
        if (_waiting.ContainsKey(id))
        {
            _waiting[id] = Sender;
            Answer(Sender, id, reserve.Key, QuotaDecision.Wait);
            return;
        }

        Decide(id, reserve);
    }

    /// <summary>A request that does not wait yet; one that runs is told so again.</summary>
    private void Decide(Guid id, GovernorProtocol.ReserveQuota reserve)
    {
        TenantQuotas rules = _sources.Rules(_tenant);
        if (rules != _budget.Quotas)
        {
            Apply(_budget.WithQuotas(rules, Now).StartWaiting(Now, out ImmutableArray<Reservation> started), started);
        }

        if (_budget.Running.ContainsKey(id))
        {
            Answer(Sender, id, reserve.Key, QuotaDecision.Run);
            return;
        }

        _budget = _budget.Ask(id, reserve.Holder, reserve.Key, CostOf(reserve), Now, out QuotaDecision decision);
        if (decision.Waits)
        {
            _waiting[id] = Sender;
        }

        Answer(Sender, id, reserve.Key, decision);
    }

    private void OnSettle(GovernorProtocol.SettleQuota settle)
    {
        if (Guid.TryParse(settle.Reservation, out Guid id) && settle is { PromptTokens: >= 0, GeneratedTokens: >= 0 })
        {
            _waiting.Remove(id);
            Apply(_budget.Settle(id, settle.PromptTokens, settle.GeneratedTokens, Now, out ImmutableArray<Reservation> started), started);
        }
    }

    private void OnHold(GovernorProtocol.HoldQuota hold)
    {
        _holders[hold.Holder] = Now;
        foreach (GovernorProtocol.ReserveQuota running in hold.Running)
        {
            if (Guid.TryParse(running.Reservation, out Guid id) && IsSound(running))
            {
                if (_waiting.Remove(id))
                {
                    // The governor before this one let it run.
                    Apply(_budget.Settle(id, 0, 0, Now, out ImmutableArray<Reservation> started), started);
                }

                _budget = _budget.Adopt(new Reservation(id, hold.Holder, running.Key, CostOf(running), Now, DayBudget.DayOf(Now)), Now);
            }
        }

        // After what runs, so that it does not take its place.
        foreach (GovernorProtocol.ReserveQuota waiting in hold.Waiting ?? [])
        {
            if (!Guid.TryParse(waiting.Reservation, out Guid id) || !IsSound(waiting))
            {
                continue;
            }

            if (_waiting.ContainsKey(id))
            {
                _waiting[id] = Sender;
            }
            else
            {
                Decide(id, waiting with { Holder = hold.Holder });
            }
        }
    }

    private void DropSilent()
    {
        foreach (string holder in _holders.Where(one => Now - one.Value > s_silence.TotalMilliseconds).Select(one => one.Key).ToArray())
        {
            _holders.Remove(holder);
            foreach (Reservation lost in _budget.Waiting.Where(reservation => reservation.Holder == holder))
            {
                _waiting.Remove(lost.Id);
            }

            Apply(_budget.DropHolder(holder, Now, out ImmutableArray<Reservation> started), started);
        }
    }

    private void Apply(TenantBudget budget, ImmutableArray<Reservation> started)
    {
        _budget = budget;
        foreach (Reservation one in started)
        {
            if (_waiting.Remove(one.Id, out IActorRef? asker))
            {
                Answer(asker, one.Id, one.Key, QuotaDecision.Run);
            }
        }
    }

    private void Answer(IActorRef asker, Guid id, string key, QuotaDecision decision)
    {
        RateLimits limits = RateLimits.Of(_budget, key, Now);
        asker.Tell(new GovernorProtocol.QuotaDecided(
            _tenant, id.ToString("n"), decision.Waits, (int?)decision.Refusal, decision.RetryMilliseconds, LeftOf(limits.Requests), LeftOf(limits.Tokens)));
    }

    private static GovernorProtocol.QuotaLeft? LeftOf(RateLimit? limit) =>
        limit is { } known ? new GovernorProtocol.QuotaLeft(known.Limit, known.Remaining, (long)known.Reset.TotalMilliseconds) : null;

    private static RequestCost CostOf(GovernorProtocol.ReserveQuota reserve) => new(reserve.PromptTokens, reserve.GeneratedTokens, reserve.Generations, reserve.KvBytes);

    private static bool IsSound(GovernorProtocol.ReserveQuota reserve) => reserve is { PromptTokens: >= 0, GeneratedTokens: >= 0, Generations: >= 0, KvBytes: >= 0 };
}

/// <summary>What a governor begins with and looks up, at the coordinator where it lives.</summary>
internal sealed record GovernorSources(Func<TenantId, TenantQuotas> Rules, Func<TenantId, Task<ImmutableDictionary<string, DayUse>>> UsedToday);

/// <summary>Places the governor through cluster sharding on the role <c>coordinator</c>: one for the cell's tenant.</summary>
internal static class GovernorSharding
{
    public const string TypeName = "governor";

    public static Task<IActorRef> StartRegionAsync(ActorSystem system, GovernorSources sources)
    {
        ClusterShardingSettings settings = ClusterShardingSettings.Create(system)
            .WithRole("coordinator")
            .WithStateStoreMode(StateStoreMode.DData)
            .WithRememberEntities(false)
            .WithPassivateIdleAfter(TimeSpan.Zero);
        return ClusterSharding.Get(system).StartAsync(
            TypeName, entityId => Props.Create(() => new GovernorActor(new TenantId(entityId), sources)), settings, new Extractor());
    }

    private sealed class Extractor : HashCodeMessageExtractor
    {
        public Extractor()
            : base(1)
        {
        }

        public override string? EntityId(object message) => message switch
        {
            GovernorProtocol.ReserveQuota reserve => reserve.Tenant.Value,
            GovernorProtocol.SettleQuota settle => settle.Tenant.Value,
            GovernorProtocol.HoldQuota hold => hold.Tenant.Value,
            _ => null,
        };
    }
}
