using Lamina.Cluster.Messages;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>What a key's rules make of its lane.</summary>
public sealed class LaneShareTests
{
    private static readonly TenantId s_tenant = new("acme");

    [Theory]
    [InlineData(null, null, null, false)]
    [InlineData(false, null, null, true)]
    [InlineData(null, false, null, true)]
    [InlineData(null, null, false, true)]
    [InlineData(false, true, null, false)]
    [InlineData(true, false, true, false)]
    [InlineData(true, true, false, true)]
    public void SharePrefixes_OfTenantEachKeyAndOneKey_CountsFromTheNearestOn(bool? tenant, bool? eachKey, bool? key, bool keepsItsOwn)
    {
        var quotas = new TenantQuotas
        {
            Tenant = new QuotaRules { SharePrefixes = tenant },
            EachKey = new QuotaRules { SharePrefixes = eachKey },
            Keys = key is null ? new Dictionary<string, QuotaRules>() : new Dictionary<string, QuotaRules> { ["k"] = new QuotaRules { SharePrefixes = key } },
        };
        Assert.Equal(keepsItsOwn, LaneShare.Of(s_tenant, "k", quotas).OwnPrefixes);
    }

    [Fact]
    public void Lane_OfAKey_IsTheSameEachTimeAndAnotherForEachKeyAndTenant()
    {
        TenantQuotas quotas = TenantQuotas.Unlimited;
        ulong[] lanes = [.. new[] { ("acme", "a"), ("acme", "b"), ("globex", "a"), ("acme", "") }.Select(who => LaneShare.Of(new TenantId(who.Item1), who.Item2, quotas).Lane)];
        Assert.Equal(lanes.Length, lanes.Distinct().Count());
        Assert.Equal(lanes[0], LaneShare.Of(s_tenant, "a", quotas).Lane);
    }
}
