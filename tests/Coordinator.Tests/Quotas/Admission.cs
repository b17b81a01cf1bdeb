using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Quotas;
using Prometheus;

namespace Lamina.Coordinator.Tests.Quotas;

/// <summary>Metering without rules and without a ledger.</summary>
internal static class Admission
{
    public static Task<MeteredAnswer> WithoutLimitsAsync(Caller caller, PendingAnswer answer, Action<string>? ended = null)
    {
        var desk = new QuotaDesk(new Dictionary<TenantId, TenantQuotas>(), (_, budget) => new LocalGovernor(budget, TimeProvider.System), TimeProvider.System);
        var metering = new Metering(desk, null, new RunningAnswers(), Metrics.NewCustomRegistry(), (_, result) => ended?.Invoke(result));
        return metering.AdmitAsync(caller, answer, Guid.Empty, CancellationToken.None);
    }
}
