using System.Security.Cryptography;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;

namespace Lamina.Coordinator.Access;

/// <summary>A key as operators see it.</summary>
/// <param name="Tenant">Null for an operator's key.</param>
/// <param name="OldSecretUntil">Until when the key before the last rotation is accepted beside the new one.</param>
public sealed record ApiKey(
    string Id, TenantId? Tenant, string Name, KeyScopes Scopes, DateTimeOffset Created, DateTimeOffset? Expires, DateTimeOffset? Revoked, DateTimeOffset? OldSecretUntil, DateOnly? LastUsed)
{
    internal static ApiKey Of(KeyRow row) => new(
        row.Id, row.Tenant is null ? null : new TenantId(row.Tenant), row.Name, KeyScopeNames.Known(row.Scopes), Time(row.Created)!.Value, Time(row.Expires), Time(row.Revoked),
        Time(row.OldHashUntil), row.LastUsedDay is { } day ? DateOnly.FromDayNumber(day) : null);

    private static DateTimeOffset? Time(long? milliseconds) => milliseconds is { } value ? DateTimeOffset.FromUnixTimeMilliseconds(value) : null;
}

/// <summary>A key beside its hashes.</summary>
internal sealed record KeyEntry(ApiKey Key, byte[] Hash, byte[]? OldHash)
{
    private static readonly byte[] s_nobody = new byte[SHA256.HashSizeInBytes];

    public static KeyEntry Of(KeyRow row) => new(ApiKey.Of(row), row.Hash, row.OldHash);

    /// <summary>Whether a presented key is this one. Takes the same time whatever it is compared with, and for a key that does not exist (null).</summary>
    public static bool Matches(KeyEntry? entry, ReadOnlySpan<byte> presented, DateTimeOffset now)
    {
        bool current = CryptographicOperations.FixedTimeEquals(presented, entry?.Hash ?? s_nobody);
        bool old = CryptographicOperations.FixedTimeEquals(presented, entry?.OldHash ?? s_nobody);
        return entry is not null & (current | (old & entry?.OldHash is not null & entry?.Key.OldSecretUntil > now));
    }
}

/// <summary>A tenant as the database knows it.</summary>
public sealed record Tenant(TenantId Id, DateTimeOffset Created, DateTimeOffset? Suspended);

/// <summary>Why a presented key is refused.</summary>
public enum KeyRefusal { Unknown, Expired, Revoked, TenantSuspended, KeySuspended }

/// <summary>A key, or the subject of a token, that is suspended.</summary>
/// <param name="Tenant">Of a subject, whose name another tenant's may bear as well; null for a key, whose id is nobody else's.</param>
internal readonly record struct SuspendedKey(string Key, TenantId? Tenant);

/// <summary>A key that ended while the coordinator runs: what it started ends with it.</summary>
/// <param name="Tenant">Null for an operator's key.</param>
public sealed record KeyEnded(string Key, TenantId? Tenant, KeyRefusal Reason);
