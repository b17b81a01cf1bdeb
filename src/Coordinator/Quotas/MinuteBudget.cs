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

/// <summary>A budget per day of UTC.</summary>
/// <param name="Day">Days since 1970.</param>
internal readonly record struct DayBudget(long Limit, long Used, long Day)
{
    private const long DayLength = 86_400_000;

    public static long DayOf(long now) => now / DayLength;

    public static DayBudget Fresh(long limit, long now) => new(limit, 0, DayOf(now));

    public long Remaining => Math.Max(0, Limit - Used);

    public DayBudget AtTime(long now) => DayOf(now) > Day ? new DayBudget(Limit, 0, DayOf(now)) : this;

    /// <summary>Milliseconds until so much can be taken: the rest of the day, or 0. What exceeds the limit can be taken on an untouched day.</summary>
    public long WaitFor(long amount, long now) => Used == 0 || amount <= Limit - Used ? 0 : UntilFull(now);

    public long UntilFull(long now) => Used == 0 ? 0 : ((Day + 1) * DayLength) - now;

    public DayBudget Take(long amount) => this with { Used = Used + amount };

    /// <param name="day">The day on which it was taken; what was taken on an earlier one is gone with it.</param>
    public DayBudget Return(long amount, long day) => day == Day ? this with { Used = Math.Max(0, Used - amount) } : this;
}
