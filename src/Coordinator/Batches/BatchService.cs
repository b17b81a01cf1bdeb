using System.Collections.Concurrent;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Api;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Batches;

/// <summary>The batches of all tenants, each tenant's apart. Those that an earlier process left unfinished go on.</summary>
internal sealed class BatchService : IAsyncDisposable
{
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_stopDeadline = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<TenantId, TenantBatches> _tenants = new();
    private readonly Lock _opening = new();
    private readonly string _storePath;
    private readonly BatchOptions _options;
    private readonly IReadOnlyDictionary<string, BeginLine> _endpoints;
    private readonly BatchAccess _access;
    private readonly Func<IReadOnlyList<Cell>> _cells;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _sweep;

    /// <param name="endpoints">What a batch may ask for, by route.</param>
    public BatchService(
        string storePath, BatchOptions options, IReadOnlyDictionary<string, BeginLine> endpoints, BatchAccess access, Func<IReadOnlyList<Cell>> cells, TimeProvider time, ILogger logger)
    {
        (_storePath, _options, _endpoints, _access, _cells, _time, _logger) = (storePath, options, endpoints, access, cells, time, logger);
        _sweep = time.CreateTimer(_ => Sweep(), null, TimeSpan.Zero, s_sweepInterval);
    }

    public IReadOnlyCollection<string> Endpoints => [.. _endpoints.Keys];

    /// <summary>Throws <see cref="ApiException"/> while another process holds this tenant's files.</summary>
    public TenantBatches Of(Caller caller)
    {
        try
        {
            return Of(caller.Tenant);
        }
        catch (IOException)
        {
            throw BatchErrors.Unavailable();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _sweep.DisposeAsync();
        await Task.WhenAny(Task.WhenAll(_tenants.Values.Select(tenant => tenant.DisposeAsync().AsTask())), Task.Delay(s_stopDeadline));
    }

    private TenantBatches Of(TenantId tenant)
    {
        if (_tenants.TryGetValue(tenant, out TenantBatches? known))
        {
            return known;
        }

        lock (_opening)
        {
            return _tenants.GetOrAdd(tenant, id => TenantBatches.Open(id, FolderOf(id), _options, _endpoints, _access, _time, _logger));
        }
    }

    /// <summary>Also opens what a process that has ended left behind.</summary>
    private void Sweep()
    {
        foreach (TenantId tenant in _cells().Select(cell => cell.Tenant).Where(tenant => Directory.Exists(FolderOf(tenant).FullPath)))
        {
            try
            {
                Of(tenant).Sweep();
            }
            catch (IOException e)
            {
                _logger.LogWarning("the batches of {Tenant} cannot be looked through: {Reason}", tenant, e.Message);
            }
        }
    }

    private StoreFolder FolderOf(TenantId tenant) => new StoreFolder(Path.Combine(_storePath, tenant.Value)).Within("batches");
}
