namespace Lamina.Coordinator.Quotas;

/// <summary>A limit that is used up at the moment.</summary>
/// <param name="WaitMilliseconds">Until the request fits, if nobody else takes what comes free.</param>
internal readonly record struct Shortage(QuotaReason Reason, long WaitMilliseconds);

/// <summary>What a tenant or a key has left: rates, and what its running requests hold. A value; time comes in.</summary>
internal sealed record ScopeBudget
{
    public required QuotaRules Rules { get; init; }
    public MinuteBudget? RequestMinute { get; init; }
    public DayBudget? RequestDay { get; init; }
    public MinuteBudget? PromptMinute { get; init; }
    public DayBudget? PromptDay { get; init; }
    public MinuteBudget? GeneratedMinute { get; init; }
    public DayBudget? GeneratedDay { get; init; }

    /// <summary>Generations that run.</summary>
    public int Running { get; init; }

    public long KvBytes { get; init; }

    /// <summary>Requests that wait for a place.</summary>
    public int Waiting { get; init; }

    /// <summary>When the last of its requests that had waited was let run, or its first began to wait: the number of such requests of the tenant by then.</summary>
    public long Turn { get; init; }

    public bool IsIdle => Running == 0 && Waiting == 0;

    /// <param name="used">What the ledger says was used today already.</param>
    public static ScopeBudget Fresh(QuotaRules rules, long now, DayUse used) => new()
    {
        Rules = rules,
        RequestMinute = Minute(rules.RequestsPerMinute, now),
        RequestDay = Day(rules.RequestsPerDay, now, used.Requests),
        PromptMinute = Minute(rules.PromptTokensPerMinute, now),
        PromptDay = Day(rules.PromptTokensPerDay, now, used.PromptTokens),
        GeneratedMinute = Minute(rules.GeneratedTokensPerMinute, now),
        GeneratedDay = Day(rules.GeneratedTokensPerDay, now, used.GeneratedTokens),
    };

    /// <summary>The same use under other rules. Limits that are new begin fresh.</summary>
    public ScopeBudget WithRules(QuotaRules rules, long now) => this with
    {
        Rules = rules,
        RequestMinute = Minute(RequestMinute, rules.RequestsPerMinute, now),
        RequestDay = Day(RequestDay, rules.RequestsPerDay, now),
        PromptMinute = Minute(PromptMinute, rules.PromptTokensPerMinute, now),
        PromptDay = Day(PromptDay, rules.PromptTokensPerDay, now),
        GeneratedMinute = Minute(GeneratedMinute, rules.GeneratedTokensPerMinute, now),
        GeneratedDay = Day(GeneratedDay, rules.GeneratedTokensPerDay, now),
    };

    public ScopeBudget AtTime(long now) => this with
    {
        RequestMinute = RequestMinute?.AtTime(now),
        RequestDay = RequestDay?.AtTime(now),
        PromptMinute = PromptMinute?.AtTime(now),
        PromptDay = PromptDay?.AtTime(now),
        GeneratedMinute = GeneratedMinute?.AtTime(now),
        GeneratedDay = GeneratedDay?.AtTime(now),
    };

    /// <summary>The rate whose lack lasts longest; null when the request's fits all of them. The budget must be at the time given.</summary>
    public Shortage? RateShortage(RequestCost cost, long now)
    {
        Shortage? worst = null;
        void Look(QuotaReason reason, long wait) => worst = wait > (worst?.WaitMilliseconds ?? 0) ? new Shortage(reason, wait) : worst;
        Look(QuotaReason.RequestsPerMinute, RequestMinute?.WaitFor(1) ?? 0);
        Look(QuotaReason.RequestsPerDay, RequestDay?.WaitFor(1, now) ?? 0);
        Look(QuotaReason.PromptTokensPerMinute, PromptMinute?.WaitFor(cost.PromptTokens) ?? 0);
        Look(QuotaReason.PromptTokensPerDay, PromptDay?.WaitFor(cost.PromptTokens, now) ?? 0);
        Look(QuotaReason.GeneratedTokensPerMinute, GeneratedMinute?.WaitFor(cost.GeneratedTokens) ?? 0);
        Look(QuotaReason.GeneratedTokensPerDay, GeneratedDay?.WaitFor(cost.GeneratedTokens, now) ?? 0);
        return worst;
    }

    /// <summary>What the request would need more of than there is; null when it can run at once. A request larger than the limit runs when nothing else does.</summary>
    public QuotaReason? PlaceShortage(RequestCost cost) =>
        Rules.ConcurrentGenerations is int places && Running > 0 && Running + cost.Generations > places ? QuotaReason.ConcurrentGenerations
        : Rules.KvBytes is long bytes && KvBytes > 0 && KvBytes + cost.KvBytes > bytes ? QuotaReason.KvBytes
        : null;

    public ScopeBudget TakeRates(RequestCost cost) => this with
    {
        RequestMinute = RequestMinute?.Take(1),
        RequestDay = RequestDay?.Take(1),
        PromptMinute = PromptMinute?.Take(cost.PromptTokens),
        PromptDay = PromptDay?.Take(cost.PromptTokens),
        GeneratedMinute = GeneratedMinute?.Take(cost.GeneratedTokens),
        GeneratedDay = GeneratedDay?.Take(cost.GeneratedTokens),
    };

    /// <summary>Gives back what was reserved and not used.</summary>
    /// <param name="day">The day on which it was taken.</param>
    public ScopeBudget ReturnRates(long promptTokens, long generatedTokens, long day) => this with
    {
        PromptMinute = PromptMinute?.Return(promptTokens),
        PromptDay = PromptDay?.Return(promptTokens, day),
        GeneratedMinute = GeneratedMinute?.Return(generatedTokens),
        GeneratedDay = GeneratedDay?.Return(generatedTokens, day),
    };

    public ScopeBudget TakePlace(RequestCost cost) => this with { Running = Running + cost.Generations, KvBytes = KvBytes + cost.KvBytes };

    public ScopeBudget ReturnPlace(RequestCost cost) => this with { Running = Running - cost.Generations, KvBytes = KvBytes - cost.KvBytes };

    private static MinuteBudget? Minute(long? limit, long now) => limit is long value ? MinuteBudget.Full(value, now) : null;

    private static DayBudget? Day(long? limit, long now, long used) => limit is long value ? DayBudget.Fresh(value, now, used) : null;

    private static MinuteBudget? Minute(MinuteBudget? old, long? limit, long now) =>
        limit is not long value ? null : old is { } budget ? budget.WithLimit(value) : MinuteBudget.Full(value, now);

    private static DayBudget? Day(DayBudget? old, long? limit, long now) =>
        limit is not long value ? null : old is { } budget ? budget.WithLimit(value) : DayBudget.Fresh(value, now);
}

/// <summary>What was used on a day of UTC.</summary>
public readonly record struct DayUse(long Requests, long PromptTokens, long GeneratedTokens);
