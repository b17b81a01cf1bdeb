using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Lamina.Coordinator.State;

/// <summary>A single value of the installation.</summary>
public sealed class FactRow
{
    /// <summary>Fingerprint of the server secret.</summary>
    public const string SecretFingerprint = "secret_fingerprint";

    /// <summary>Counts the changes of tenants and keys, so that every coordinator notices them.</summary>
    public const string AccessVersion = "access_version";

    public required string Name { get; init; }

    public required string Value { get; set; }

    internal static void Map(EntityTypeBuilder<FactRow> row)
    {
        row.ToTable("facts").HasKey(fact => fact.Name);
        row.Property(fact => fact.Name).HasColumnName("name");
        row.Property(fact => fact.Value).HasColumnName("value");
    }
}

/// <summary>A tenant of the installation.</summary>
public sealed class TenantRow
{
    public required string Id { get; init; }

    public required long Created { get; init; }

    /// <summary>When it was suspended; null while it may work.</summary>
    public long? Suspended { get; set; }

    /// <summary>A JSON object of settings.</summary>
    public string Settings { get; set; } = "{}";

    internal static void Map(EntityTypeBuilder<TenantRow> row)
    {
        row.ToTable("tenants").HasKey(tenant => tenant.Id);
        row.Property(tenant => tenant.Id).HasColumnName("id");
        row.Property(tenant => tenant.Created).HasColumnName("created");
        row.Property(tenant => tenant.Suspended).HasColumnName("suspended");
        row.Property(tenant => tenant.Settings).HasColumnName("settings");
    }
}

/// <summary>An API key. The key itself is nowhere: only its HMAC under the server secret.</summary>
public sealed class KeyRow
{
    public required string Id { get; init; }

    /// <summary>Null for an operator's key, which speaks for the installation and for no tenant.</summary>
    public required string? Tenant { get; init; }

    public required string Name { get; set; }

    /// <summary>Names of scopes, joined by commas.</summary>
    public required string Scopes { get; init; }

    public required byte[] Hash { get; set; }

    /// <summary>Hash of the key before the last rotation, accepted until <see cref="OldHashUntil"/>.</summary>
    public byte[]? OldHash { get; set; }

    public long? OldHashUntil { get; set; }

    public required long Created { get; init; }

    public long? Expires { get; set; }

    public long? Revoked { get; set; }

    /// <summary>Last day on which it was used, counted from the first of January of the year 1.</summary>
    public int? LastUsedDay { get; set; }

    internal static void Map(EntityTypeBuilder<KeyRow> row)
    {
        row.ToTable("api_keys").HasKey(key => key.Id);
        row.Property(key => key.Id).HasColumnName("id");
        row.Property(key => key.Tenant).HasColumnName("tenant");
        row.Property(key => key.Name).HasColumnName("name");
        row.Property(key => key.Scopes).HasColumnName("scopes");
        row.Property(key => key.Hash).HasColumnName("hash");
        row.Property(key => key.OldHash).HasColumnName("old_hash");
        row.Property(key => key.OldHashUntil).HasColumnName("old_hash_until");
        row.Property(key => key.Created).HasColumnName("created");
        row.Property(key => key.Expires).HasColumnName("expires");
        row.Property(key => key.Revoked).HasColumnName("revoked");
        row.Property(key => key.LastUsedDay).HasColumnName("last_used_day");
    }
}
