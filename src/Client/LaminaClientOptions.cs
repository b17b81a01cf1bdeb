namespace Lamina.Client;

/// <summary>How a <see cref="LaminaClient"/> reaches a coordinator and how patient it is. Times are wall-clock.</summary>
public sealed record LaminaClientOptions
{
    /// <summary>The coordinator's base address without <c>/v1</c>, such as <c>http://127.0.0.1:8080</c>.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Sent as a bearer token; null where the coordinator asks for none (a loopback address).</summary>
    public string? ApiKey { get; init; }

    /// <summary>Longest wait for one attempt: until the whole answer, or until the first byte of a stream.</summary>
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Longest silence between two events of a stream while the caller waits for one; the connection then counts as lost.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Attempts after the first, for failures that may pass: no connection, 408, 429 and 5xx. A stream that has made progress starts counting anew.</summary>
    public int MaxRetries { get; init; } = 4;

    /// <summary>Delay before the first retry; each further one waits twice as long, less up to half at random.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Longest delay between attempts. A server that asks for a longer one by <c>Retry-After</c> is not retried.</summary>
    public TimeSpan MaxRetryDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Whether generations carry an <c>Idempotency-Key</c>: a retried request then joins the generation that it started, and a stream whose connection broke goes on
    /// where it broke. Without it a lost stream is an error and nothing is kept at the server.
    /// </summary>
    public bool Resumable { get; init; } = true;

    /// <summary>Throws <see cref="ArgumentException"/> with one sentence when a value cannot be used.</summary>
    internal void Validate()
    {
        if (!Endpoint.IsAbsoluteUri || Endpoint.Scheme is not ("http" or "https"))
        {
            throw new ArgumentException($"the endpoint must be an absolute http or https address, not '{Endpoint}'", nameof(Endpoint));
        }

        Require(ResponseTimeout > TimeSpan.Zero, nameof(ResponseTimeout), "above zero");
        Require(IdleTimeout > TimeSpan.Zero, nameof(IdleTimeout), "above zero");
        Require(MaxRetries >= 0, nameof(MaxRetries), "zero or more");
        Require(RetryDelay > TimeSpan.Zero, nameof(RetryDelay), "above zero");
        Require(MaxRetryDelay >= RetryDelay, nameof(MaxRetryDelay), $"at least {nameof(RetryDelay)}");
    }

    private static void Require(bool condition, string name, string allowed)
    {
        if (!condition)
        {
            throw new ArgumentException($"{name} must be {allowed}", name);
        }
    }
}
