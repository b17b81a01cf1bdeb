namespace Lamina.Coordinator.Batches;

/// <summary>When a request that was refused for the moment is tried again. Pure: chance comes in as a value.</summary>
internal static class RetryDelay
{
    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    /// <param name="attempt">From 0.</param>
    /// <param name="retryAfterSeconds">What the refusal asked for; never less is waited.</param>
    /// <param name="chance">Uniform from 0 to 1; requests that were refused together come back apart.</param>
    public static TimeSpan Of(int attempt, int? retryAfterSeconds, double chance)
    {
        TimeSpan grown = TimeSpan.FromTicks(Math.Min(s_first.Ticks << Math.Min(attempt, 10), s_longest.Ticks));
        TimeSpan asked = TimeSpan.FromSeconds(retryAfterSeconds ?? 0);
        return (grown > asked ? grown : asked) * (1 + (chance / 4));
    }
}
