using System.Collections.Immutable;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Lamina.Coordinator.Quotas;

/// <summary>What can be suspended.</summary>
public enum SuspensionKind { Tenant, Key, Model, Node }

/// <summary>Who imposed a suspension: what an operator imposed no tenant's administrator lifts.</summary>
public enum SuspendedBy { Operator, Tenant }

/// <summary>Something that may not work until it is lifted.</summary>
/// <param name="Name">A tenant's name, a key's id, a model's digest or a node's name; see <see cref="SuspensionNames"/>.</param>
/// <param name="Tenant">The cell of a node, the tenant of a token's subject; null for the others, which are known by their name alone.</param>
public sealed record Suspension(SuspensionKind Kind, string Name, TenantId? Tenant, string Reason, DateTimeOffset Since, SuspendedBy By = SuspendedBy.Operator);

/// <summary>A suspension in the database.</summary>
public sealed class SuspensionRow
{
    /// <summary>How <see cref="SuspendedBy.Tenant"/> is written; whatever else stands there is an operator's.</summary>
    public const string ByTenant = "tenant";

    public const string ByOperator = "operator";

    public required string Kind { get; init; }
    public required string Name { get; init; }

    /// <summary>Empty where the name alone says it.</summary>
    public required string Tenant { get; init; }
    public required string Reason { get; set; }
    public required long Since { get; init; }
    public string ImposedBy { get; set; } = ByOperator;

    internal static void Map(EntityTypeBuilder<SuspensionRow> row)
    {
        row.ToTable("suspensions").HasKey(suspension => new { suspension.Kind, suspension.Tenant, suspension.Name });
        row.Property(suspension => suspension.Kind).HasColumnName("kind");
        row.Property(suspension => suspension.Name).HasColumnName("name");
        row.Property(suspension => suspension.Tenant).HasColumnName("tenant");
        row.Property(suspension => suspension.Reason).HasColumnName("reason");
        row.Property(suspension => suspension.Since).HasColumnName("since");
        row.Property(suspension => suspension.ImposedBy).HasColumnName("imposed_by");
    }

    internal static SuspensionRow Of(Suspension suspension) => new()
    {
        Kind = suspension.Kind.ToString(), Name = suspension.Name, Tenant = suspension.Tenant?.Value ?? "", Reason = suspension.Reason,
        Since = suspension.Since.ToUnixTimeMilliseconds(), ImposedBy = suspension.By == SuspendedBy.Tenant ? ByTenant : ByOperator,
    };

    /// <summary>
    /// Null when a newer program wrote a kind that this one does not know. Else what the row names is suspended, whatever the rest of it says: a tenant that is no name counts as none,
    /// and then the suspension holds in all.
    /// </summary>
    internal Suspension? ToSuspension()
    {
        if (!Enum.TryParse(Kind, ignoreCase: true, out SuspensionKind kind) || !Enum.IsDefined(kind))
        {
            return null;
        }

        long since = Math.Clamp(Since, DateTimeOffset.MinValue.ToUnixTimeMilliseconds(), DateTimeOffset.MaxValue.ToUnixTimeMilliseconds());
        return new Suspension(
            kind, SuspensionNames.TryCanonical(kind, Name) ?? Name, Names.IsValid(Tenant) ? new TenantId(Tenant) : null, Reason, DateTimeOffset.FromUnixTimeMilliseconds(since),
            ImposedBy == ByTenant ? SuspendedBy.Tenant : SuspendedBy.Operator);
    }
}

/// <summary>All suspensions at one moment, and the decision about one request.</summary>
internal sealed record SuspensionList(ImmutableArray<Suspension> All)
{
    public static SuspensionList Empty { get; } = new([]);

    /// <summary>Rows whose kind this program does not know.</summary>
    public ImmutableArray<string> Unknown { get; init; } = [];

    public static SuspensionList Of(IReadOnlyList<SuspensionRow> rows) => new([.. rows.Select(row => row.ToSuspension()).OfType<Suspension>()])
    {
        Unknown = [.. rows.Where(row => row.ToSuspension() is null).Select(row => $"{row.Kind} {row.Name}")],
    };

    /// <summary>What keeps a request from running; null when nothing does.</summary>
    public Suspension? Of(TenantId tenant, string? key, string? modelDigest)
    {
        foreach (Suspension suspension in All)
        {
            bool hit = suspension.Kind switch
            {
                SuspensionKind.Tenant => suspension.Name == tenant.Value,
                SuspensionKind.Key => suspension.Name == key && (suspension.Tenant is not { } owner || owner == tenant),
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
    public IEnumerable<string> NodesOf(TenantId tenant) => All.Where(one => one.Kind == SuspensionKind.Node && (one.Tenant is not { } owner || owner == tenant)).Select(one => one.Name);
}
