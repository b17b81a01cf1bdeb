using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Quotas;

/// <summary>One of the pairs of budgets that a caller is told of.</summary>
/// <param name="Reset">Until the budget is full again.</param>
public readonly record struct RateLimit(long Limit, long Remaining, TimeSpan Reset);

/// <summary>What a caller has left, as OpenAI's headers tell it. Null = no such limit.</summary>
public sealed record RateLimits(RateLimit? Requests, RateLimit? Tokens)
{
    /// <summary>Of all budgets of a kind the one of which the smallest part is left.</summary>
    internal static RateLimits Of(TenantBudget budget, string key, long now)
    {
        ScopeBudget[] scopes = [budget.Tenant.AtTime(now), budget.KeyAt(key, now)];
        return new RateLimits(
            Tightest(scopes.SelectMany(scope => new[] { Of(scope.RequestMinute), Of(scope.RequestDay, now) })),
            Tightest(scopes.SelectMany(scope => new[] { Of(scope.PromptMinute), Of(scope.GeneratedMinute), Of(scope.PromptDay, now), Of(scope.GeneratedDay, now) })));
    }

    public void WriteTo(IHeaderDictionary headers)
    {
        Write(headers, "requests", Requests);
        Write(headers, "tokens", Tokens);
    }

    /// <summary>A duration as in Go: <c>6m0s</c>, <c>1.5s</c>, <c>20ms</c>.</summary>
    internal static string Duration(TimeSpan time)
    {
        if (time < TimeSpan.FromSeconds(1))
        {
            return string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(time.TotalMilliseconds):0}ms");
        }

        string hours = time.TotalHours >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours}h") : "";
        string minutes = time.TotalMinutes >= 1 ? string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}m") : "";
        return hours + minutes + string.Create(CultureInfo.InvariantCulture, $"{(time.Ticks % TimeSpan.TicksPerMinute) / (double)TimeSpan.TicksPerSecond:0.###}s");
    }

    private static void Write(IHeaderDictionary headers, string kind, RateLimit? limit)
    {
        if (limit is { } known)
        {
            headers[$"x-ratelimit-limit-{kind}"] = known.Limit.ToString(CultureInfo.InvariantCulture);
            headers[$"x-ratelimit-remaining-{kind}"] = known.Remaining.ToString(CultureInfo.InvariantCulture);
            headers[$"x-ratelimit-reset-{kind}"] = Duration(known.Reset);
        }
    }

    private static RateLimit? Tightest(IEnumerable<RateLimit?> limits) => limits.Where(limit => limit is not null).MinBy(limit => limit!.Value.Remaining / (double)limit.Value.Limit);

    private static RateLimit? Of(MinuteBudget? budget) =>
        budget is { } known ? new RateLimit(known.Limit, known.Remaining, TimeSpan.FromMilliseconds(known.UntilFull)) : null;

    private static RateLimit? Of(DayBudget? budget, long now) =>
        budget is { } known ? new RateLimit(known.Limit, known.Remaining, TimeSpan.FromMilliseconds(known.UntilFull(now))) : null;
}
