using System.Collections.Frozen;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Access;

/// <summary>All tenants and keys at one moment, which of them are suspended, and the decision about a presented key.</summary>
internal sealed record AccessView(FrozenDictionary<string, KeyEntry> Keys, FrozenDictionary<TenantId, Tenant> Tenants, FrozenSet<SuspendedKey> Suspended, long Version)
{
    public static AccessView Empty { get; } = new(FrozenDictionary<string, KeyEntry>.Empty, FrozenDictionary<TenantId, Tenant>.Empty, FrozenSet<SuspendedKey>.Empty, -1);

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
        : (key.Tenant is { } tenant ? Refusal(tenant) : null) ?? (IsSuspended(key.Id, key.Tenant) ? KeyRefusal.KeySuspended : null);

    /// <summary>Why nobody may act for a tenant; null when its keys, and tokens of an issuer that name it, are good.</summary>
    public KeyRefusal? Refusal(TenantId tenant) =>
        !Tenants.TryGetValue(tenant, out Tenant? found) ? KeyRefusal.Revoked
        : found.Suspended is not null ? KeyRefusal.TenantSuspended
        : null;

    /// <summary>Why what a caller started may not go on; null when it may. Expiry only keeps new requests out.</summary>
    /// <param name="key">Id of the key, or name of the subject of a token, which ends with its tenant or when it is suspended there.</param>
    public KeyRefusal? EndOf(string key, TenantId? tenant) =>
        TokenSubject.Is(key) ? tenant is { } owner ? Refusal(owner) ?? (IsSuspended(key, owner) ? KeyRefusal.KeySuspended : null) : KeyRefusal.Unknown
        : Keys.TryGetValue(key, out KeyEntry? entry) ? Refusal(entry.Key, DateTimeOffset.MinValue)
        : KeyRefusal.Unknown;

    /// <summary>One that names no tenant holds whosever the key is.</summary>
    private bool IsSuspended(string key, TenantId? tenant) =>
        Suspended.Count > 0 && (Suspended.Contains(new SuspendedKey(key, null)) || (tenant is not null && Suspended.Contains(new SuspendedKey(key, tenant))));
}
