using System.Collections.Concurrent;
using System.Threading.RateLimiting;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Quotas;

/// <summary>
/// The processor's time before a request runs: parsing, templates, tokens. Each tenant has at most half of the cores at a time (at least one), the oldest first, so that a flood by one
/// leaves the others theirs; a tenant's requests beyond a bounded queue are refused.
/// </summary>
internal sealed class FrontDoor : IDisposable
{
    private const int QueueLength = 256;

    private readonly ConcurrentDictionary<TenantId, ConcurrencyLimiter> _tenants = new();
    private readonly int _places;

    public FrontDoor(int? places = null) => _places = places ?? Math.Max(1, Environment.ProcessorCount / 2);

    /// <summary>Waits for the tenant's turn; disposing the lease ends it. A lease that is not acquired says that too many wait.</summary>
    public ValueTask<RateLimitLease> EnterAsync(TenantId tenant, CancellationToken cancellation) => _tenants.GetOrAdd(
        tenant,
        _ => new ConcurrencyLimiter(new ConcurrencyLimiterOptions { PermitLimit = _places, QueueLimit = QueueLength, QueueProcessingOrder = QueueProcessingOrder.OldestFirst }))
        .AcquireAsync(1, cancellation);

    public void Dispose()
    {
        foreach (ConcurrencyLimiter limiter in _tenants.Values)
        {
            limiter.Dispose();
        }
    }
}
