using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.State;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Lamina.Coordinator.Quotas;

/// <summary>Rules that an administrator set; they go before those of the configuration file.</summary>
public sealed class QuotaRow
{
    /// <summary>Instead of a key: the tenant as a whole.</summary>
    public const string WholeTenant = "";

    /// <summary>Instead of a key: each key without rules of its own.</summary>
    public const string EachKey = "*";

    public required string Tenant { get; init; }
    public required string Key { get; init; }
    public required string Rules { get; set; }

    /// <summary>Null when the rules are none that this version knows: a newer coordinator may have written them.</summary>
    internal QuotaRules? TryRead()
    {
        try
        {
            return JsonSerializer.Deserialize<QuotaRules>(Rules, QuotaStore.Json) is { } rules && rules.Problem() is null ? rules : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    internal static void Map(EntityTypeBuilder<QuotaRow> row)
    {
        row.ToTable("quotas").HasKey(quota => new { quota.Tenant, quota.Key });
        row.Property(quota => quota.Tenant).HasColumnName("tenant");
        row.Property(quota => quota.Key).HasColumnName("api_key");
        row.Property(quota => quota.Rules).HasColumnName("rules");
    }
}

/// <summary>Reads and changes the rules in the database.</summary>
public sealed class QuotaStore(StateDatabase state)
{
    /// <summary>How rules are written and read.</summary>
    public static JsonSerializerOptions Json { get; } = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <summary>
    /// Sets the rules of a tenant, of each of its keys or of one key; null removes them. Throws <see cref="AccessChangeException"/> when there is no such tenant or key: rules for a slip of the
    /// pen would limit nobody.
    /// </summary>
    /// <param name="key">A key's id, the subject of a token, <see cref="QuotaRow.EachKey"/> or <see cref="QuotaRow.WholeTenant"/>.</param>
    public Task SetAsync(TenantId tenant, string key, QuotaRules? rules, CancellationToken cancellation) => ControlChange.RunAsync(
        state,
        async context =>
        {
            QuotaRow? row = await context.Quotas.FindAsync([tenant.Value, key], cancellation);
            if (rules is null)
            {
                _ = row is null ? null : context.Quotas.Remove(row);
                return true;
            }

            await RequireKnownAsync(context, tenant.Value, key, cancellation);
            string json = JsonSerializer.Serialize(rules, Json);
            if (row is null)
            {
                context.Quotas.Add(new QuotaRow { Tenant = tenant.Value, Key = key, Rules = json });
            }
            else
            {
                row.Rules = json;
            }

            return true;
        },
        cancellation);

    private static async Task RequireKnownAsync(StateContext context, string tenant, string key, CancellationToken cancellation)
    {
        if (!await context.Tenants.AnyAsync(row => row.Id == tenant, cancellation))
        {
            throw new AccessChangeException($"there is no tenant {tenant}") { IsNotFound = true };
        }

        if (key is not (QuotaRow.EachKey or QuotaRow.WholeTenant) && !TokenSubject.IsWellFormed(key) && !await context.Keys.AnyAsync(row => row.Id == key && row.Tenant == tenant, cancellation))
        {
            throw new AccessChangeException($"tenant {tenant} has no key {Auditor.WithoutSecret(key)}") { IsNotFound = true };
        }
    }

    /// <summary>All rules. Throws <see cref="InvalidDataException"/> with one sentence where one cannot be read.</summary>
    public async Task<IReadOnlyDictionary<TenantId, TenantQuotas>> ReadAsync(CancellationToken cancellation) => Combine(
        (await state.RunAsync(context => ReadAsync(context, cancellation), cancellation)).Select(row => (
            row, row.TryRead() ?? throw new InvalidDataException($"the rules of tenant '{row.Tenant}', key '{row.Key}' in the database are none that this version knows; a newer one may have written them"))));

    internal static async Task<IReadOnlyList<QuotaRow>> ReadAsync(StateContext context, CancellationToken cancellation) => await context.Quotas.AsNoTracking().ToArrayAsync(cancellation);

    internal static IReadOnlyDictionary<TenantId, TenantQuotas> Combine(IEnumerable<(QuotaRow Row, QuotaRules Rules)> all) =>
        all.GroupBy(one => new TenantId(one.Row.Tenant)).ToDictionary(group => group.Key, group =>
        {
            Dictionary<string, QuotaRules> rules = group.ToDictionary(one => one.Row.Key, one => one.Rules);
            return new TenantQuotas
            {
                Tenant = rules.GetValueOrDefault(QuotaRow.WholeTenant, QuotaRules.Unlimited),
                EachKey = rules.GetValueOrDefault(QuotaRow.EachKey, QuotaRules.Unlimited),
                Keys = rules.Where(pair => pair.Key is not (QuotaRow.WholeTenant or QuotaRow.EachKey)).ToDictionary(),
            };
        });
}

/// <summary>Every change of rules and suspensions counts a version up in its own transaction, by which coordinators notice it.</summary>
internal static class ControlChange
{
    public const string Version = "control_version";

    public static Task<T> RunAsync<T>(StateDatabase state, Func<StateContext, Task<T>> change, CancellationToken cancellation) => state.ChangeAsync(
        async context =>
        {
            T result = await change(context);
            await CountUpAsync(context, cancellation);
            return result;
        },
        cancellation);

    /// <summary>For changes of more than quotas and suspensions.</summary>
    public static async Task CountUpAsync(StateContext context, CancellationToken cancellation)
    {
        FactRow version = await context.Facts.SingleAsync(fact => fact.Name == Version, cancellation);
        version.Value = (long.Parse(version.Value, CultureInfo.InvariantCulture) + 1).ToString(CultureInfo.InvariantCulture);
    }
}
