using System.Collections.Concurrent;
using System.Collections.Immutable;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>The rules in force and a governor for each tenant. Rules of the database go before those of the configuration, scope by scope.</summary>
internal sealed class QuotaDesk(IReadOnlyDictionary<TenantId, TenantQuotas> configured, Func<TenantId, TenantBudget, IQuotaGovernor> governor, TimeProvider time)
{
    private readonly ConcurrentDictionary<TenantId, Lazy<IQuotaGovernor>> _governors = new();

    /// <summary>In force; null as long as there are only those of the configuration. Put together once for each change, because a governor that is given other rules goes through all keys.</summary>
    private IReadOnlyDictionary<TenantId, TenantQuotas>? _rules;
    private ImmutableDictionary<TenantId, ImmutableDictionary<string, DayUse>> _usedToday = ImmutableDictionary<TenantId, ImmutableDictionary<string, DayUse>>.Empty;

    /// <summary>What the ledger says of today, before the first request is decided.</summary>
    public void Begin(TenantId tenant, ImmutableDictionary<string, DayUse> usedToday) => _usedToday = _usedToday.SetItem(tenant, usedToday);

    public IQuotaGovernor Of(TenantId tenant) => _governors.GetOrAdd(
        tenant,
        _ => new Lazy<IQuotaGovernor>(() => governor(tenant, TenantBudget.Start(RulesOf(tenant), time.GetUtcNow().ToUnixTimeMilliseconds(), _usedToday.GetValueOrDefault(tenant))))).Value;

    public TenantQuotas RulesOf(TenantId tenant) => (Volatile.Read(ref _rules) ?? configured).GetValueOrDefault(tenant, TenantQuotas.Unlimited);

    /// <summary>Takes over what the database says now.</summary>
    public void Change(IReadOnlyDictionary<TenantId, TenantQuotas> set)
    {
        var rules = new Dictionary<TenantId, TenantQuotas>(configured);
        foreach ((TenantId tenant, TenantQuotas own) in set)
        {
            rules[tenant] = Merge(configured.GetValueOrDefault(tenant, TenantQuotas.Unlimited), own);
        }

        Volatile.Write(ref _rules, rules);
        foreach ((TenantId tenant, Lazy<IQuotaGovernor> governor) in _governors)
        {
            governor.Value.Change(RulesOf(tenant));
        }
    }

    private static TenantQuotas Merge(TenantQuotas file, TenantQuotas set) => new()
    {
        Tenant = set.Tenant == QuotaRules.Unlimited ? file.Tenant : set.Tenant,
        EachKey = set.EachKey == QuotaRules.Unlimited ? file.EachKey : set.EachKey,
        Keys = file.Keys.Concat(set.Keys).GroupBy(pair => pair.Key).ToDictionary(group => group.Key, group => group.Last().Value),
    };
}
