using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Tests.Quotas;

public class QuotaDeskTests
{
    private static readonly TenantId s_tenant = new("acme");

    /// <summary>A governor that is given other rules goes through all keys, so it must see that they are the same.</summary>
    [Fact]
    public void Rules_AskedForTwice_AreTheSameUntilTheyChange()
    {
        var configured = new Dictionary<TenantId, TenantQuotas> { [s_tenant] = new() { Tenant = new QuotaRules { RequestsPerMinute = 5 }, EachKey = new QuotaRules { QueueLength = 1 } } };
        var desk = new QuotaDesk(configured, (_, budget) => new LocalGovernor(budget, TimeProvider.System), TimeProvider.System);
        Assert.Same(configured[s_tenant], desk.RulesOf(s_tenant));
        desk.Change(new Dictionary<TenantId, TenantQuotas> { [s_tenant] = new() { Tenant = new QuotaRules { RequestsPerMinute = 7 } } });
        TenantQuotas rules = desk.RulesOf(s_tenant);
        Assert.Equal((7L, 1), (rules.Tenant.RequestsPerMinute, rules.EachKey.QueueLength));
        Assert.Equal(rules, desk.RulesOf(s_tenant));
        desk.Change(new Dictionary<TenantId, TenantQuotas>());
        Assert.Same(configured[s_tenant], desk.RulesOf(s_tenant));
        Assert.Same(TenantQuotas.Unlimited, desk.RulesOf(new TenantId("globex")));
    }
}
