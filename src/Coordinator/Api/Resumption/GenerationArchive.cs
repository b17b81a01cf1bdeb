using System.Collections.Concurrent;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Cells;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Api.Resumption;

/// <summary>The kept generations of all tenants, each tenant's apart, swept as time passes.</summary>
internal sealed class GenerationArchive : IDisposable
{
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<TenantId, TenantGenerations> _tenants = new();
    private readonly ResumptionOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _sweep;

    public GenerationArchive(ResumptionOptions options, TimeProvider time, ILogger logger)
    {
        _options = options;
        _time = time;
        _logger = logger;
        _sweep = time.CreateTimer(_ => Sweep(), null, s_sweepInterval, s_sweepInterval);
    }

    /// <summary>Whether finished responses can be read again.</summary>
    public bool KeepsResponses => _options.RetentionSeconds > 0;

    public long RetainedBytes => _tenants.Values.Sum(tenant => tenant.RetainedBytes);

    public TenantGenerations Of(Caller caller) => Of(caller.Tenant);

    public TenantGenerations Of(TenantId tenant) => _tenants.GetOrAdd(tenant, _ => new TenantGenerations(_options, _time, _logger));

    /// <summary>Answers of each tenant that no other coordinator could go on with.</summary>
    public IEnumerable<(TenantId Tenant, int Answers)> Unmirrored => _tenants.Select(pair => (pair.Key, pair.Value.Mirror?.Unmirrored ?? 0));

    /// <summary>From now on the tenant's answers are those of all its cell's coordinators.</summary>
    public void Mirror(TenantId tenant, CellPeers peers)
    {
        TenantGenerations own = Of(tenant);
        own.Mirror = new GenerationMirror(peers, own, _options, _time, _logger);
    }

    /// <summary>Ends and forgets what a key started.</summary>
    public void CancelOf(KeyEnded ended)
    {
        if (ended.Tenant is { } tenant && _tenants.TryGetValue(tenant, out TenantGenerations? generations))
        {
            generations.CancelOf(ended.Key);
        }
    }

    public void Dispose()
    {
        _sweep.Dispose();

        // The mirrors first: what ends with this process is to be gone on with elsewhere, not forgotten there.
        foreach (TenantGenerations tenant in _tenants.Values)
        {
            tenant.Mirror?.Dispose();
        }

        foreach (TenantGenerations tenant in _tenants.Values)
        {
            tenant.CancelAll();
        }
    }

    private void Sweep()
    {
        foreach (TenantGenerations tenant in _tenants.Values)
        {
            tenant.Sweep();
        }
    }
}
