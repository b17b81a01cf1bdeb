namespace Lamina.Coordinator.Quotas;

/// <summary>
/// A budget per minute that refills evenly. Not <c>System.Threading.RateLimiting.TokenBucketRateLimiter</c>, because a reservation is given back in part when its request has
/// ended, several budgets are taken together or not at all, and time comes in as a value.
/// </summary>
/// <param name="Limit">Per minute, and the most that is saved up.</param>
/// <param name="Level">What is left, times 60,000: then a millisecond refills <paramref name="Limit"/>, and no rounding is lost. Below zero after a request larger than the limit.</param>
/// <param name="At">The moment of the level, in milliseconds.</param>
internal readonly record struct MinuteBudget(long Limit, long Level, long At)
{
    private const long Scale = 60_000;

    public static MinuteBudget Full(long limit, long now) => new(limit, limit * Scale, now);

    public long Remaining => Math.Max(0, Level / Scale);

    public MinuteBudget AtTime(long now)
    {
        long elapsed = Math.Clamp(now - At, 0, 24 * 3600_000);
        long missing = (Limit * Scale) - Level;
        return this with { Level = elapsed >= (missing + Limit - 1) / Limit ? Limit * Scale : Level + (elapsed * Limit), At = Math.Max(now, At) };
    }

    /// <summary>Milliseconds until so much can be taken; 0 when it can be now. What exceeds the limit can be taken when the budget is full.</summary>
    public long WaitFor(long amount) => CeilingOver(Math.Min(amount, Limit) * Scale - Level);

    /// <summary>Milliseconds until the budget is full.</summary>
    public long UntilFull => CeilingOver((Limit * Scale) - Level);

    public MinuteBudget Take(long amount) => this with { Level = Level - (amount * Scale) };

    public MinuteBudget Return(long amount) => this with { Level = Math.Min(Limit * Scale, Level + (amount * Scale)) };

    /// <summary>The same budget under another limit; what was used stays used.</summary>
    public MinuteBudget WithLimit(long limit) => new(limit, Math.Min(limit * Scale, Level + ((limit - Limit) * Scale)), At);

    private long CeilingOver(long missing) => missing <= 0 ? 0 : (missing + Limit - 1) / Limit;
}

/// <summary>A budget per day of UTC. An untouched day admits a request larger than the limit; what it used beyond the day's, the following days pay.</summary>
/// <param name="Used">With what earlier days left to pay.</param>
/// <param name="Day">Days since 1970.</param>
/// <param name="Carried">The part of <paramref name="Used"/> that earlier days left.</param>
/// <param name="Over">What the following days are left to pay.</param>
internal readonly record struct DayBudget(long Limit, long Used, long Day, long Carried = 0, long Over = 0)
{
    private const long DayLength = 86_400_000;

    public static long DayOf(long now) => now / DayLength;

    /// <param name="used">What was used of the day already, under whatever limit: the following days do not pay for it.</param>
    public static DayBudget Fresh(long limit, long now, long used = 0) => new(limit, used, DayOf(now));

    public long Remaining => Math.Max(0, Limit - Used);

    public DayBudget AtTime(long now)
    {
        long days = DayOf(now) - Day;
        if (days <= 0)
        {
            return this;
        }

        long carried = Unpaid(days - 1);
        return new DayBudget(Limit, carried, DayOf(now), carried, Unpaid(days));
    }

    /// <summary>Milliseconds until so much can be taken, or 0 when it can be now. What exceeds the limit can be taken on an untouched day.</summary>
    public long WaitFor(long amount, long now)
    {
        long room = Math.Max(0, Limit - amount);
        return Used == 0 || amount <= Limit - Used ? 0 : ((Day + 1 + DaysUntil(room)) * DayLength) - now;
    }

    public long UntilFull(long now) => Used == 0 ? 0 : ((Day + 1 + DaysUntil(0)) * DayLength) - now;

    public DayBudget Take(long amount) => this with { Used = Used + amount, Over = Used == 0 ? Math.Max(0, amount - Limit) : Over };

    /// <param name="day">The day on which it was taken; what was taken on an earlier one is gone with it, except for what that left to pay.</param>
    public DayBudget Return(long amount, long day)
    {
        if (day == Day)
        {
            return this with { Used = Math.Max(Carried, Used - amount), Over = Carried == 0 ? Math.Max(0, Over - amount) : Over };
        }

        long back = Math.Min(amount, Carried);
        return this with { Used = Used - back, Carried = Carried - back, Over = Carried == 0 ? Over : Math.Max(0, Over - amount) };
    }

    /// <summary>The same use under another limit. That it is lower leaves nothing to the following days.</summary>
    public DayBudget WithLimit(long limit) => this with { Limit = limit, Over = Math.Min(Over, Math.Max(0, Used - limit)) };

    /// <summary>What is left to pay when so many of the following days have paid.</summary>
    private long Unpaid(long days) => days > Over / Limit ? 0 : Over - (days * Limit);

    /// <summary>Days after the next one until no more than so much is left to pay.</summary>
    private long DaysUntil(long most) => Over <= most ? 0 : (Over - most + Limit - 1) / Limit;
}
