using System.Collections.Frozen;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Access;

/// <summary>All tenants and keys at one moment, and the decision about a presented key.</summary>
internal sealed record AccessView(FrozenDictionary<string, KeyEntry> Keys, FrozenDictionary<TenantId, Tenant> Tenants, long Version)
{
    public static AccessView Empty { get; } = new(FrozenDictionary<string, KeyEntry>.Empty, FrozenDictionary<TenantId, Tenant>.Empty, -1);

    /// <summary>The key that was presented, or why it is refused.</summary>
    /// <param name="id">The id that it claims.</param>
    /// <param name="hash">Its HMAC under the server secret.</param>
    public (ApiKey? Key, KeyRefusal? Refusal) Find(string id, ReadOnlySpan<byte> hash, DateTimeOffset now)
    {
        KeyEntry? entry = Keys.GetValueOrDefault(id);
        return !KeyEntry.Matches(entry, hash, now) ? (null, KeyRefusal.Unknown)
            : Refusal(entry!.Key, now) is { } refusal ? (null, refusal)
            : (entry.Key, null);
    }

    /// <summary>Why a key may not be used now; null when it may.</summary>
    public KeyRefusal? Refusal(ApiKey key, DateTimeOffset now) =>
        key.Revoked is not null ? KeyRefusal.Revoked
        : key.Expires <= now ? KeyRefusal.Expired
        : key.Tenant is not { } tenant ? null
        : !Tenants.TryGetValue(tenant, out Tenant? found) ? KeyRefusal.Revoked
        : found.Suspended is not null ? KeyRefusal.TenantSuspended
        : null;
}
