using MessagePack;

namespace Lamina.Cluster.Messages;

/// <summary>Between a cell's coordinators: what must hold over all of them is decided by one entity for the tenant.</summary>
public static class GovernorProtocol
{
    /// <summary>Asks for all that a request may come to need. Answered by <see cref="QuotaDecided"/>: at once, and again when a request that was to wait may run.</summary>
    /// <param name="Holder">The coordinator that runs the request.</param>
    /// <param name="Key">Empty for the local user of a loopback address.</param>
    [MessagePackObject]
    public sealed record ReserveQuota(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] string Reservation,
        [property: Key(2)] string Holder,
        [property: Key(3)] string Key,
        [property: Key(4)] long PromptTokens,
        [property: Key(5)] long GeneratedTokens,
        [property: Key(6)] int Generations,
        [property: Key(7)] long KvBytes) : IWireMessage;

    /// <summary>A request has ended, with what it computed.</summary>
    [MessagePackObject]
    public sealed record SettleQuota(
        [property: Key(0)] TenantId Tenant, [property: Key(1)] string Reservation, [property: Key(2)] long PromptTokens, [property: Key(3)] long GeneratedTokens) : IWireMessage;

    /// <summary>Says now and then that a coordinator is alive, what it runs and what waits there, so that a governor that moved knows it again. Much of it comes in several messages.</summary>
    /// <param name="Waiting">Requests that were told to wait, answered when they need not any more; null from the version before.</param>
    [MessagePackObject]
    public sealed record HoldQuota(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] string Holder,
        [property: Key(2)] IReadOnlyList<ReserveQuota> Running,
        [property: Key(3)] IReadOnlyList<ReserveQuota>? Waiting = null) : IWireMessage;

    /// <param name="Waits">The request is to wait; another decision follows.</param>
    /// <param name="Refusal">Number of the reason; null when it is not refused.</param>
    /// <param name="RetryMilliseconds">When it would fit.</param>
    [MessagePackObject]
    public sealed record QuotaDecided(
        [property: Key(0)] TenantId Tenant,
        [property: Key(1)] string Reservation,
        [property: Key(2)] bool Waits,
        [property: Key(3)] int? Refusal,
        [property: Key(4)] long RetryMilliseconds,
        [property: Key(5)] QuotaLeft? Requests,
        [property: Key(6)] QuotaLeft? Tokens) : IWireMessage;

    /// <summary>What is left of a limit, and in how many milliseconds it is whole again.</summary>
    [MessagePackObject]
    public sealed record QuotaLeft([property: Key(0)] long Limit, [property: Key(1)] long Remaining, [property: Key(2)] long ResetMilliseconds);
}
