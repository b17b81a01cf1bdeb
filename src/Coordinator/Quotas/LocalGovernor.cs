using System.Collections.Immutable;

namespace Lamina.Coordinator.Quotas;

/// <summary>The governor of a tenant that has one coordinator: decides in place, in microseconds. Thread-safe.</summary>
internal sealed class LocalGovernor(TenantBudget start, TimeProvider time) : IQuotaGovernor
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Guid, TaskCompletionSource<QuotaVerdict>> _waiting = [];
    private TenantBudget _budget = start;

    /// <summary>The state at this moment.</summary>
    public TenantBudget Budget
    {
        get
        {
            lock (_lock)
            {
                return _budget;
            }
        }
    }

    public async ValueTask<QuotaVerdict> AdmitAsync(Guid id, string key, RequestCost cost, CancellationToken cancellation)
    {
        Task<QuotaVerdict> turn;
        lock (_lock)
        {
            _budget = _budget.Ask(id, "", key, cost, Now, out QuotaDecision decision);
            if (!decision.Waits)
            {
                return new QuotaVerdict(decision, RateLimits.Of(_budget, key, Now));
            }

            var waiting = new TaskCompletionSource<QuotaVerdict>(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add(id, waiting);
            turn = waiting.Task;
        }

        try
        {
            return await turn.WaitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            Settle(id, 0, 0);
            throw;
        }
    }

    public QuotaVerdict? Look(string key)
    {
        lock (_lock)
        {
            return _budget.Look(key, Now) is { } refusal ? new QuotaVerdict(refusal, RateLimits.Of(_budget, key, Now)) : null;
        }
    }

    public void Settle(Guid id, long promptTokens, long generatedTokens)
    {
        lock (_lock)
        {
            _waiting.Remove(id);
            _budget = _budget.Settle(id, promptTokens, generatedTokens, Now, out ImmutableArray<Reservation> started);
            Start(started);
        }
    }

    public void Change(TenantQuotas quotas)
    {
        lock (_lock)
        {
            _budget = _budget.WithQuotas(quotas, Now).StartWaiting(Now, out ImmutableArray<Reservation> started);
            Start(started);
        }
    }

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();

    private void Start(ImmutableArray<Reservation> started)
    {
        foreach (Reservation one in started)
        {
            if (_waiting.Remove(one.Id, out TaskCompletionSource<QuotaVerdict>? waiting))
            {
                waiting.SetResult(new QuotaVerdict(QuotaDecision.Run, RateLimits.Of(_budget, one.Key, Now)));
            }
        }
    }
}
