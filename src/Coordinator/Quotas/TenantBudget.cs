using System.Collections.Immutable;

namespace Lamina.Coordinator.Quotas;

/// <summary>A request that runs or waits.</summary>
/// <param name="Holder">The coordinator that runs it; when it is gone, so is the request.</param>
/// <param name="Key">Empty for the local user of a loopback address.</param>
/// <param name="At">When it was admitted to run; to the queue while it waits. Milliseconds since 1970.</param>
/// <param name="Day">The day whose budgets it was taken from.</param>
internal sealed record Reservation(Guid Id, string Holder, string Key, RequestCost Cost, long At, long Day);

/// <summary>What became of a request: it runs, or waits its turn, or is refused.</summary>
/// <param name="RetryMilliseconds">When it would fit, if nobody else took what comes free; an estimate when places are short.</param>
internal readonly record struct QuotaDecision(bool Runs, bool Waits, QuotaReason? Refusal, long RetryMilliseconds)
{
    public static QuotaDecision Run => new(true, false, null, 0);

    public static QuotaDecision Wait => new(false, true, null, 0);

    public static QuotaDecision Refuse(QuotaReason reason, long retryMilliseconds) => new(false, false, reason, retryMilliseconds);
}

/// <summary>
/// All that a tenant's quota is decided by, as a value: what the tenant and each key have left, which requests run and which wait. Every change is a function of it, the
/// command and the time.
/// </summary>
internal sealed record TenantBudget
{
    private const int MaxWaiting = 1024;
    private const int FirstPruneAt = 256;
    private const long FirstEstimate = 1000;
    private const long LongestEstimate = 60_000;

    public required TenantQuotas Quotas { get; init; }
    public required ScopeBudget Tenant { get; init; }
    public ImmutableDictionary<string, ScopeBudget> Keys { get; init; } = ImmutableDictionary<string, ScopeBudget>.Empty;
    public ImmutableDictionary<Guid, Reservation> Running { get; init; } = ImmutableDictionary<Guid, Reservation>.Empty;

    /// <summary>In order of arrival.</summary>
    public ImmutableList<Reservation> Waiting { get; init; } = [];

    /// <summary>Running mean of how long requests ran, in milliseconds.</summary>
    public long MeanDuration { get; init; } = FirstEstimate;

    /// <summary>What keys used today before this value began.</summary>
    public ImmutableDictionary<string, DayUse> UsedBefore { get; init; } = ImmutableDictionary<string, DayUse>.Empty;

    private long UsedBeforeDay { get; init; }

    /// <summary>Requests that waited and were let run.</summary>
    private long Turns { get; init; }

    private int PruneAt { get; init; } = FirstPruneAt;

    /// <param name="used">What the ledger says of today, by key.</param>
    public static TenantBudget Start(TenantQuotas quotas, long now, ImmutableDictionary<string, DayUse>? used = null)
    {
        used ??= ImmutableDictionary<string, DayUse>.Empty;
        var sum = new DayUse(used.Values.Sum(use => use.Requests), used.Values.Sum(use => use.PromptTokens), used.Values.Sum(use => use.GeneratedTokens));
        return new TenantBudget { Quotas = quotas, Tenant = ScopeBudget.Fresh(quotas.Tenant, now, sum), UsedBefore = used, UsedBeforeDay = DayBudget.DayOf(now) };
    }

    /// <summary>The key's budget at a time.</summary>
    public ScopeBudget KeyAt(string key, long now) =>
        Keys.TryGetValue(key, out ScopeBudget? budget) ? budget.AtTime(now) : Fresh(key, now);

    /// <summary>The same use under other rules.</summary>
    public TenantBudget WithQuotas(TenantQuotas quotas, long now) => this with
    {
        Quotas = quotas,
        Tenant = Tenant.AtTime(now).WithRules(quotas.Tenant, now),
        Keys = Keys.ToImmutableDictionary(pair => pair.Key, pair => pair.Value.AtTime(now).WithRules(quotas.Of(pair.Key), now)),
    };

    /// <summary>
    /// What would refuse any request of the key now, however few tokens it has: its requests are used up, or a larger one left a budget of tokens below zero. Null when only the request's
    /// own size can tell. Changes nothing.
    /// </summary>
    public QuotaDecision? Look(string key, long now) =>
        Longer(Tenant.AtTime(now).RateShortage(default, now), KeyAt(key, now).RateShortage(default, now)) is { } shortage
            ? QuotaDecision.Refuse(shortage.Reason, shortage.WaitMilliseconds)
            : null;

    /// <summary>Admits a request, lets it wait for a place, or refuses it. An admitted or waiting one has its rates reserved.</summary>
    public TenantBudget Ask(Guid id, string holder, string key, RequestCost cost, long now, out QuotaDecision decision)
    {
        ScopeBudget tenant = Tenant.AtTime(now);
        ScopeBudget own = KeyAt(key, now);
        if (Longer(tenant.RateShortage(cost, now), own.RateShortage(cost, now)) is { } shortage)
        {
            decision = QuotaDecision.Refuse(shortage.Reason, shortage.WaitMilliseconds);
            return this;
        }

        QuotaReason? place = tenant.PlaceShortage(cost) ?? own.PlaceShortage(cost);
        bool mustWait = place is not null || (cost.Generations > 0 && (HasWaiting(key) || (FirstInTurn() is { } first && !GoesBefore(own, Keys[first.Key]))));
        if (mustWait && (tenant.Waiting >= (tenant.Rules.QueueLength ?? MaxWaiting) || own.Waiting >= (own.Rules.QueueLength ?? MaxWaiting)))
        {
            decision = QuotaDecision.Refuse(place ?? QuotaReason.ConcurrentGenerations, PlaceEstimate(tenant, own));
            return this;
        }

        var reservation = new Reservation(id, holder, key, cost, now, DayBudget.DayOf(now));
        decision = mustWait ? QuotaDecision.Wait : QuotaDecision.Run;
        tenant = tenant.TakeRates(cost);
        own = own.TakeRates(cost);
        if (mustWait)
        {
            // A key that begins to wait is behind those that wait already, and before what they ask for after their next turn.
            own = own with { Waiting = own.Waiting + 1, Turn = own.Waiting == 0 ? Turns : own.Turn };
            return this with { Tenant = tenant with { Waiting = tenant.Waiting + 1 }, Keys = Keys.SetItem(key, own), Waiting = Waiting.Add(reservation) };
        }

        TenantBudget after = this with { Tenant = tenant.TakePlace(cost), Keys = Keys.SetItem(key, own.TakePlace(cost)), Running = Running.Add(id, reservation) };
        return after.Pruned(now);
    }

    /// <summary>A request has ended: what it did not use is given back, and others may begin. Nothing happens for one that is not known.</summary>
    /// <param name="promptTokens">Computed prompt tokens.</param>
    /// <param name="generatedTokens">Computed tokens, whoever received them.</param>
    /// <param name="started">Those that waited and run now.</param>
    public TenantBudget Settle(Guid id, long promptTokens, long generatedTokens, long now, out ImmutableArray<Reservation> started)
    {
        started = [];
        if (!Running.TryGetValue(id, out Reservation? reservation))
        {
            return Withdraw(id, now, out started);
        }

        RequestCost cost = reservation.Cost;
        ScopeBudget Back(ScopeBudget scope) =>
            scope.AtTime(now).ReturnRates(cost.PromptTokens - promptTokens, cost.GeneratedTokens - generatedTokens, reservation.Day).ReturnPlace(cost);
        TenantBudget after = this with
        {
            Tenant = Back(Tenant),
            Keys = Keys.SetItem(reservation.Key, Back(KeyAt(reservation.Key, now))),
            Running = Running.Remove(id),
            MeanDuration = cost.Generations == 0 ? MeanDuration : ((MeanDuration * 7) + Math.Max(1, now - reservation.At)) / 8,
        };
        return after.StartWaiting(now, out started);
    }

    /// <summary>Ends whatever a coordinator held that is gone. Its reservations count as used: nobody knows how far they came.</summary>
    public TenantBudget DropHolder(string holder, long now, out ImmutableArray<Reservation> started)
    {
        TenantBudget after = this;
        foreach (Reservation lost in Running.Values.Where(reservation => reservation.Holder == holder).ToArray())
        {
            after = after.Settle(lost.Id, lost.Cost.PromptTokens, lost.Cost.GeneratedTokens, now, out _);
        }

        foreach (Reservation lost in Waiting.Where(reservation => reservation.Holder == holder).ToArray())
        {
            after = after.Withdraw(lost.Id, now, out _);
        }

        return after.StartWaiting(now, out started);
    }

    /// <summary>Takes over a running request that another instance of this value admitted, so that places stay counted when the governor moves.</summary>
    public TenantBudget Adopt(Reservation reservation, long now)
    {
        if (Running.ContainsKey(reservation.Id))
        {
            return this;
        }

        ScopeBudget own = KeyAt(reservation.Key, now);
        return this with
        {
            Tenant = Tenant.AtTime(now).TakeRates(reservation.Cost).TakePlace(reservation.Cost),
            Keys = Keys.SetItem(reservation.Key, own.TakeRates(reservation.Cost).TakePlace(reservation.Cost)),
            Running = Running.Add(reservation.Id, reservation with { Day = DayBudget.DayOf(now) }),
        };
    }

    private TenantBudget Withdraw(Guid id, long now, out ImmutableArray<Reservation> started)
    {
        started = [];
        int index = Waiting.FindIndex(waiting => waiting.Id == id);
        if (index < 0)
        {
            return this;
        }

        Reservation gone = Waiting[index];
        ScopeBudget Back(ScopeBudget scope) =>
            scope.AtTime(now).ReturnRates(gone.Cost.PromptTokens, gone.Cost.GeneratedTokens, gone.Day) is var back ? back with { Waiting = back.Waiting - 1 } : scope;
        TenantBudget after = this with { Tenant = Back(Tenant), Keys = Keys.SetItem(gone.Key, Back(Keys[gone.Key])), Waiting = Waiting.RemoveAt(index) };
        return after.StartWaiting(now, out started);
    }

    /// <summary>Lets those run that now have a place: each time the first of the key with the fewest running generations for its weight; of several the one whose turn was longest ago. A key whose first does not fit waits, whoever is behind.</summary>
    public TenantBudget StartWaiting(long now, out ImmutableArray<Reservation> started)
    {
        ImmutableArray<Reservation>.Builder all = ImmutableArray.CreateBuilder<Reservation>();
        TenantBudget after = this;
        while (after.NextToStart() is { } next)
        {
            Reservation running = next with { At = now };
            ScopeBudget own = after.Keys[next.Key];
            after = after with
            {
                Tenant = after.Tenant.TakePlace(next.Cost) with { Waiting = after.Tenant.Waiting - 1 },
                Keys = after.Keys.SetItem(next.Key, own.TakePlace(next.Cost) with { Waiting = own.Waiting - 1, Turn = after.Turns + 1 }),
                Turns = after.Turns + 1,
                Waiting = after.Waiting.Remove(next),
                Running = after.Running.Add(next.Id, running),
            };
            all.Add(running);
        }

        started = all.ToImmutable();
        return after;
    }

    private Reservation? NextToStart() => FirstInTurn() is { } first && Tenant.PlaceShortage(first.Cost) is null ? first : null;

    /// <summary>
    /// Whose turn the tenant's next place is, of those that only the tenant's limits hold back. Places are kept for it until there are enough: else a request for several would wait as long
    /// as others come that ask for one.
    /// </summary>
    private Reservation? FirstInTurn()
    {
        if (Waiting.IsEmpty)
        {
            return null;
        }

        Reservation? best = null;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (Reservation waiting in Waiting)
        {
            if (seen.Add(waiting.Key) && Keys[waiting.Key].PlaceShortage(waiting.Cost) is null && (best is null || IsNext(Keys[waiting.Key], Keys[best.Key])))
            {
                best = waiting;
            }
        }

        return best;
    }

    /// <summary>Of equals the one whose turn was longer ago: where there are so few places that none of them has one running, a long queue of one would else go first as a whole.</summary>
    private static bool IsNext(ScopeBudget a, ScopeBudget b) => GoesBefore(a, b) || (!GoesBefore(b, a) && a.Turn < b.Turn);

    private static bool GoesBefore(ScopeBudget a, ScopeBudget b)
    {
        int priority = (a.Rules.Priority ?? 0).CompareTo(b.Rules.Priority ?? 0);
        return priority != 0 ? priority > 0 : (long)a.Running * (b.Rules.Weight ?? 1) < (long)b.Running * (a.Rules.Weight ?? 1);
    }

    private ScopeBudget Fresh(string key, long now) => ScopeBudget.Fresh(Quotas.Of(key), now, DayBudget.DayOf(now) == UsedBeforeDay ? UsedBefore.GetValueOrDefault(key) : default);

    /// <summary>Forgets keys that would be the same if they came for the first time, whenever there are twice as many as were left the last time.</summary>
    private TenantBudget Pruned(long now)
    {
        if (Keys.Count < PruneAt)
        {
            return this;
        }

        var left = Keys.Where(pair => !pair.Value.IsIdle || pair.Value.AtTime(now) with { Turn = 0 } != Fresh(pair.Key, now)).ToImmutableDictionary();
        return this with { Keys = left, PruneAt = Math.Max(FirstPruneAt, left.Count * 2) };
    }

    private bool HasWaiting(string key) => Keys.TryGetValue(key, out ScopeBudget? own) && own.Waiting > 0;

    /// <summary>As long as those take that are ahead, if they run as long as others did.</summary>
    private long PlaceEstimate(ScopeBudget tenant, ScopeBudget own)
    {
        int places = Math.Max(1, Math.Min(tenant.Rules.ConcurrentGenerations ?? int.MaxValue, own.Rules.ConcurrentGenerations ?? int.MaxValue));
        long ahead = Math.Max(tenant.Waiting, own.Waiting) + 1;
        return Math.Clamp(ahead * MeanDuration / Math.Min(places, Math.Max(1, tenant.Running)), 1000, LongestEstimate);
    }

    private static Shortage? Longer(Shortage? a, Shortage? b) => a is null ? b : b is null || a.Value.WaitMilliseconds >= b.Value.WaitMilliseconds ? a : b;
}
