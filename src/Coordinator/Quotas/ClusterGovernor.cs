using System.Collections.Concurrent;
using Akka.Actor;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// A coordinator's way to the governor of a tenant with several. Each request asks once, before it runs; its stream never asks. While the governor does not answer, which is so for some
/// seconds when its coordinator has died, this coordinator decides by itself, with its part of the rules.
/// </summary>
internal sealed class ClusterGovernor : IQuotaGovernor
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan s_beat = TimeSpan.FromSeconds(5);

    /// <summary>What is left of tokens, which a refusal tells too, is not older than this.</summary>
    private static readonly TimeSpan s_memory = TimeSpan.FromSeconds(1);

    private const int MaxRefused = 4096;

    private readonly TenantId _tenant;
    private readonly string _holder;
    private readonly IActorRef _desk;
    private readonly LocalGovernor _alone;
    private readonly int _coordinators;
    private readonly TimeProvider _time;

    /// <summary>Refusals for want of requests, by key: until a request fits again, at most for <see cref="s_memory"/>, each would be refused the same way.</summary>
    private readonly ConcurrentDictionary<string, (QuotaVerdict Verdict, long At)> _refused = new(StringComparer.Ordinal);

    /// <param name="region">Of the governor's sharding.</param>
    /// <param name="holder">This coordinator's name.</param>
    /// <param name="coordinators">How many the cell is configured with: alone, this one decides by that part of the rules.</param>
    /// <param name="beat">How often the governor is told what runs and waits here; five seconds when null.</param>
    public ClusterGovernor(ActorSystem system, IActorRef region, TenantId tenant, string holder, int coordinators, TenantBudget start, TimeProvider time, TimeSpan? beat = null)
    {
        _tenant = tenant;
        _holder = holder;
        _coordinators = coordinators;
        _time = time;
        _alone = new LocalGovernor(start.WithQuotas(Part(start.Quotas), time.GetUtcNow().ToUnixTimeMilliseconds()), time);
        _desk = system.ActorOf(Props.Create(() => new Desk(region, tenant, holder, beat ?? s_beat)), $"governor-desk-{Guid.NewGuid():n}");
    }

    /// <summary>The governor is not asked: what it last said is good for as long as requests do not fit again.</summary>
    public QuotaVerdict? Look(string key)
    {
        if (!_refused.TryGetValue(key, out (QuotaVerdict Verdict, long At) refused))
        {
            return null;
        }

        TimeSpan passed = _time.GetElapsedTime(refused.At);
        long left = refused.Verdict.Decision.RetryMilliseconds - (long)Math.Ceiling(passed.TotalMilliseconds);
        if (left <= 0 || passed >= s_memory)
        {
            _refused.TryRemove(KeyValuePair.Create(key, refused));
            return null;
        }

        RateLimit? Later(RateLimit? limit) => limit is { } known ? known with { Reset = known.Reset > passed ? known.Reset - passed : TimeSpan.Zero } : null;
        RateLimits limits = refused.Verdict.Limits;
        return new QuotaVerdict(refused.Verdict.Decision with { RetryMilliseconds = left }, new RateLimits(Later(limits.Requests), Later(limits.Tokens)));
    }

    public async ValueTask<QuotaVerdict> AdmitAsync(Guid id, string key, RequestCost cost, CancellationToken cancellation)
    {
        QuotaVerdict verdict = await AskAsync(id, key, cost, cancellation);
        if (verdict.Decision.Refusal is QuotaReason.RequestsPerMinute or QuotaReason.RequestsPerDay)
        {
            if (_refused.Count >= MaxRefused)
            {
                // None of them is older than a second, so forgetting them costs little.
                _refused.Clear();
            }

            _refused[key] = (verdict, _time.GetTimestamp());
        }

        return verdict;
    }

    private async Task<QuotaVerdict> AskAsync(Guid id, string key, RequestCost cost, CancellationToken cancellation)
    {
        var reserve = new GovernorProtocol.ReserveQuota(_tenant, id.ToString("n"), _holder, key, cost.PromptTokens, cost.GeneratedTokens, cost.Generations, cost.KvBytes);
        var asked = new Asked(reserve, new(TaskCreationOptions.RunContinuationsAsynchronously), new(TaskCreationOptions.RunContinuationsAsynchronously));
        _desk.Tell(asked);
        try
        {
            if (await Task.WhenAny(asked.Heard.Task, Task.Delay(s_patience, cancellation)) != asked.Heard.Task)
            {
                cancellation.ThrowIfCancellationRequested();
                return await _alone.AdmitAsync(id, key, cost, cancellation);
            }

            return await asked.Decided.Task.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            Settle(id, 0, 0);
            throw;
        }
    }

    public void Settle(Guid id, long promptTokens, long generatedTokens)
    {
        _alone.Settle(id, promptTokens, generatedTokens);
        _desk.Tell(new GovernorProtocol.SettleQuota(_tenant, id.ToString("n"), promptTokens, generatedTokens));
    }

    /// <summary>The governor looks its rules up itself.</summary>
    public void Change(TenantQuotas quotas)
    {
        _refused.Clear();
        _alone.Change(Part(quotas));
    }

    private TenantQuotas Part(TenantQuotas quotas) => new()
    {
        Tenant = quotas.Tenant.DividedBy(_coordinators),
        EachKey = quotas.EachKey.DividedBy(_coordinators),
        Keys = quotas.Keys.ToDictionary(pair => pair.Key, pair => pair.Value.DividedBy(_coordinators)),
    };

    /// <param name="Heard">Completes when the governor has answered at all.</param>
    /// <param name="Decided">Completes when the request runs or is refused.</param>
    private sealed record Asked(GovernorProtocol.ReserveQuota Reserve, TaskCompletionSource Heard, TaskCompletionSource<QuotaVerdict> Decided) : INoSerializationVerificationNeeded
    {
        public bool Runs => Decided.Task.IsCompleted && Decided.Task.Result.Decision.Runs;

        public bool Waits => Heard.Task.IsCompleted && !Decided.Task.IsCompleted;
    }

    /// <summary>Matches the governor's answers with those who wait for them, and tells it now and then what runs here.</summary>
    private sealed class Desk : ReceiveActor, IWithTimers
    {
        private const int MaxPerMessage = 200;

        private readonly TimeSpan _beat;
        private readonly Dictionary<string, Asked> _open = new(StringComparer.Ordinal);

        public Desk(IActorRef region, TenantId tenant, string holder, TimeSpan beat)
        {
            _beat = beat;
            Receive<Asked>(asked =>
            {
                _open[asked.Reserve.Reservation] = asked;
                region.Tell(asked.Reserve, Self);
            });
            Receive<GovernorProtocol.SettleQuota>(settle =>
            {
                _open.Remove(settle.Reservation);
                region.Tell(settle, Self);
            });
            Receive<GovernorProtocol.QuotaDecided>(decided => OnDecided(decided, region), decided => decided.Tenant == tenant);
            Receive<Beat>(_ =>
            {
                // What was told to wait is told again: a governor that moved, or lost the request or its answer, would else never let it run.
                foreach (Asked[] part in _open.Values.Where(asked => asked.Runs || asked.Waits).Chunk(MaxPerMessage).DefaultIfEmpty([]))
                {
                    region.Tell(
                        new GovernorProtocol.HoldQuota(
                            tenant, holder, [.. part.Where(asked => asked.Runs).Select(asked => asked.Reserve)], [.. part.Where(asked => asked.Waits).Select(asked => asked.Reserve)]),
                        Self);
                }
            });
        }

        public ITimerScheduler Timers { get; set; } = null!;

        protected override void PreStart() => Timers.StartPeriodicTimer(nameof(Beat), Beat.Instance, _beat);

        private void OnDecided(GovernorProtocol.QuotaDecided decided, IActorRef region)
        {
            if (!_open.TryGetValue(decided.Reservation, out Asked? asked))
            {
                // Whoever asked has gone, or decided alone and has ended: nothing runs for it.
                if (decided.Refusal is null)
                {
                    region.Tell(new GovernorProtocol.SettleQuota(decided.Tenant, decided.Reservation, 0, 0), Self);
                }

                return;
            }

            asked.Heard.TrySetResult();
            if (decided.Waits)
            {
                return;
            }

            QuotaDecision decision = decided.Refusal is int reason ? QuotaDecision.Refuse((QuotaReason)reason, decided.RetryMilliseconds) : QuotaDecision.Run;
            asked.Decided.TrySetResult(new QuotaVerdict(decision, new RateLimits(LimitOf(decided.Requests), LimitOf(decided.Tokens))));
            if (decided.Refusal is not null)
            {
                _open.Remove(decided.Reservation);
            }
        }

        private static RateLimit? LimitOf(GovernorProtocol.QuotaLeft? left) =>
            left is null ? null : new RateLimit(left.Limit, left.Remaining, TimeSpan.FromMilliseconds(left.ResetMilliseconds));

        private sealed record Beat : INoSerializationVerificationNeeded
        {
            public static readonly Beat Instance = new();
        }
    }
}
