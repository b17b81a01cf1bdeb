using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Lamina.Coordinator.Quotas;

/// <summary>What can be suspended.</summary>
public enum SuspensionKind { Tenant, Key, Model, Node }

/// <summary>Something that may not work until it is lifted.</summary>
/// <param name="Name">A tenant's name, a key's id, a model's digest or a node's name.</param>
/// <param name="Tenant">The cell of a node; null for the others, which are known by their name alone.</param>
public sealed record Suspension(SuspensionKind Kind, string Name, TenantId? Tenant, string Reason, DateTimeOffset Since);

/// <summary>A suspension in the database.</summary>
public sealed class SuspensionRow
{
    public required string Kind { get; init; }
    public required string Name { get; init; }

    /// <summary>Empty where the name alone says it.</summary>
    public required string Tenant { get; init; }
    public required string Reason { get; init; }
    public required long Since { get; init; }

    internal static void Map(EntityTypeBuilder<SuspensionRow> row)
    {
        row.ToTable("suspensions").HasKey(suspension => new { suspension.Kind, suspension.Tenant, suspension.Name });
        row.Property(suspension => suspension.Kind).HasColumnName("kind");
        row.Property(suspension => suspension.Name).HasColumnName("name");
        row.Property(suspension => suspension.Tenant).HasColumnName("tenant");
        row.Property(suspension => suspension.Reason).HasColumnName("reason");
        row.Property(suspension => suspension.Since).HasColumnName("since");
    }

    internal Suspension ToSuspension() => new(
        Enum.Parse<SuspensionKind>(Kind), Name, Tenant.Length == 0 ? null : new TenantId(Tenant), Reason, DateTimeOffset.FromUnixTimeMilliseconds(Since));
}

/// <summary>All suspensions at one moment, and the decision about one request.</summary>
internal sealed record SuspensionList(ImmutableArray<Suspension> All)
{
    public static SuspensionList Empty { get; } = new([]);

    /// <summary>What keeps a request from running; null when nothing does.</summary>
    public Suspension? Of(TenantId tenant, string? key, string? modelDigest)
    {
        foreach (Suspension suspension in All)
        {
            bool hit = suspension.Kind switch
            {
                SuspensionKind.Tenant => suspension.Name == tenant.Value,
                SuspensionKind.Key => suspension.Name == key,
                SuspensionKind.Model => suspension.Name == modelDigest,
                _ => false,
            };
            if (hit)
            {
                return suspension;
            }
        }

        return null;
    }

    /// <summary>Names of a cell's suspended nodes.</summary>
    public IEnumerable<string> NodesOf(TenantId tenant) => All.Where(one => one.Kind == SuspensionKind.Node && one.Tenant == tenant).Select(one => one.Name);
}
