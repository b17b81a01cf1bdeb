using System.Net;
using System.Net.Http.Headers;

namespace Lamina.Client.Http;

/// <summary>Decides whether and when a failed attempt is repeated. Pure: chance comes in as a value.</summary>
internal sealed class RetryPolicy(LaminaClientOptions options)
{
    /// <summary>Most that is added to a <c>Retry-After</c>, so that clients that were refused together do not come back together.</summary>
    private const double RetryAfterSpread = 0.25;

    /// <summary>The delay before the next attempt, or null to give up.</summary>
    /// <param name="failed">Attempts that have failed in a row, from 1.</param>
    /// <param name="chance">Uniform from 0 to 1.</param>
    public TimeSpan? Delay(int failed, TimeSpan? retryAfter, double chance)
    {
        if (failed > options.MaxRetries || retryAfter > options.MaxRetryDelay)
        {
            return null;
        }

        TimeSpan grown = options.RetryDelay * Math.Pow(2, Math.Min(failed - 1, 30));
        TimeSpan delay = (grown < options.MaxRetryDelay ? grown : options.MaxRetryDelay) * (1 - (chance / 2));
        return retryAfter is { } asked && asked * (1 + (RetryAfterSpread * chance)) > delay ? asked * (1 + (RetryAfterSpread * chance)) : delay;
    }

    /// <summary>Whether the same request may succeed later.</summary>
    public static bool MayPass(HttpStatusCode status) => (int)status is 408 or 429 or >= 500 and not 501;

    /// <summary>Reads <c>Retry-After</c> as seconds or as a date.</summary>
    public static TimeSpan? RetryAfter(RetryConditionHeaderValue? header, DateTimeOffset now) => header switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date > now ? date - now : TimeSpan.Zero,
        _ => null,
    };
}
