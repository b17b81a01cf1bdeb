namespace Lamina.Coordinator.Quotas;

/// <summary>Decides about one tenant's requests. Everything a request may come to need is reserved when it is admitted, so that its stream never asks again.</summary>
internal interface IQuotaGovernor
{
    /// <summary>Waits for a place where the rules let it wait. Throws <see cref="OperationCanceledException"/> when the caller goes away meanwhile.</summary>
    ValueTask<QuotaVerdict> AdmitAsync(Guid id, string key, RequestCost cost, CancellationToken cancellation);

    /// <summary>The refusal that any request of the key would get now, whatever its size; null when that is not known at once. Reserves and counts nothing, and never waits.</summary>
    QuotaVerdict? Look(string key);

    /// <summary>Gives back what was not used; never waits.</summary>
    /// <param name="promptTokens">Computed ones, whoever received what came of them.</param>
    void Settle(Guid id, long promptTokens, long generatedTokens);

    void Change(TenantQuotas quotas);
}

/// <param name="Limits">What is left after the decision.</param>
internal readonly record struct QuotaVerdict(QuotaDecision Decision, RateLimits Limits);
