using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Admin;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Listening;
using Lamina.Coordinator.Audit;
using Lamina.Coordinator.Quotas;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Lamina.Coordinator;

/// <summary>The front process: HTTP API, cells, model store, deployments. Runs until disposed.</summary>
public sealed class CoordinatorHost : IAsyncDisposable
{
    /// <summary>How long after its start a coordinator waits for the models of all its cells before it takes requests for those that serve.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    private readonly long _begun = Stopwatch.GetTimestamp();
    private readonly ApiServer _api;
    private readonly AdminServer? _admin;
    private readonly CellWatch _watch;
    private readonly IReadOnlyList<Cell> _cells;
    private volatile bool _isLeaving;

    private CoordinatorHost(ApiServer api, AdminServer? admin, IReadOnlyList<Cell> cells, AccessControl? access, QuotaControl quotas)
    {
        Quotas = quotas;
        _watch = new CellWatch(() => cells, quotas.Auditor);
        _api = api;
        _admin = admin;
        _cells = cells;
        Access = access;
    }

    /// <summary>Validates the options, opens the cells and the HTTP listener, starts to deploy the configured models. Throws with one clear sentence when it cannot.</summary>
    public static async Task<CoordinatorHost> StartAsync(CoordinatorOptions options, ILoggerFactory loggers, CancellationToken cancellation)
    {
        CoordinatorOptionsValidator.Validate(options);
        var cells = new List<Cell>();
        AccessControl? access = null;
        AdminServer? admin = null;
        QuotaControl? quotas = null;
        try
        {
            access = options.KeepState ? await AccessControl.StartAsync(options, loggers.CreateLogger("Lamina.Access"), cancellation) : null;
            quotas = await QuotaControl.StartAsync(options, access, () => cells, loggers.CreateLogger("Lamina.Quotas"), cancellation);
            foreach (CellOptions cell in options.Cells)
            {
                cells.Add(await Cell.StartAsync(cell, options.StorePath, quotas.Sources, loggers, cancellation));
            }

            quotas.Suspended += suspensions => cells.ForEach(cell => cell.SetSuspended(suspensions.NodesOf(cell.Tenant)));
            cells.ForEach(cell => cell.SetSuspended(quotas.Running.Suspensions.NodesOf(cell.Tenant)));
            ILogger logger = loggers.CreateLogger("Lamina.Coordinator");
            if (RuntimeVersion.Advice(Environment.Version) is { } advice)
            {
                logger.Log(options.IsOpen() ? LogLevel.Warning : LogLevel.Information, "{Advice}", advice);
            }

            ServerCertificate? certificate = options.Tls is { } tls ? ServerCertificate.Open(tls, TimeProvider.System, logger) : null;
            if (options.Admin is { } administration)
            {
                admin = await AdminServer.StartAsync(administration, () => cells, access!, quotas, certificate, loggers, cancellation);
            }

            ApiServer api = await ApiServer.StartAsync(options, () => cells, access, quotas, certificate, loggers, cancellation);
            return new CoordinatorHost(api, admin, cells, access, quotas) { NeedsKeys = options.NeedsKeys() };
        }
        catch
        {
            if (admin is not null)
            {
                await admin.DisposeAsync();
            }

            foreach (Cell cell in cells)
            {
                await cell.DisposeAsync();
            }

            if (quotas is not null)
            {
                await quotas.DisposeAsync();
            }

            if (access is not null)
            {
                await access.DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>
    /// Raised on a thread of the pool when requests came and none has been under way for two seconds, and every half minute after that, four times: a good moment to have prompts, answers and keys
    /// leave memory.
    /// </summary>
    public event Action? Idled
    {
        add => _api.Idle.Idled += value;
        remove => _api.Idle.Idled -= value;
    }

    /// <summary>Base address of the HTTP API, with the port really bound.</summary>
    public Uri HttpAddress => _api.Address;

    /// <summary>Base address of the admin listener; null when there is none.</summary>
    public Uri? AdminAddress => _admin?.Address;

    public IReadOnlyList<Cell> Cells => _cells;

    /// <summary>The addresses of the API and of the admin listener, as their servers know them.</summary>
    internal (IReadOnlyList<RouteEndpoint> Api, IReadOnlyList<RouteEndpoint> Admin) Routes => (_api.Routes, _admin?.Routes ?? []);

    /// <summary>Whether the API asks for keys.</summary>
    public bool NeedsKeys { get; private init; }

    /// <summary>Database, tenants and keys; null where no state is kept.</summary>
    public AccessControl? Access { get; }

    /// <summary>Rules, usage and suspensions.</summary>
    public QuotaControl Quotas { get; }

    /// <summary>
    /// True from when every model has served until this coordinator is asked to end. A model that recovers from a loss does not change it: its requests wait here, where
    /// elsewhere they would find nobody. A cell that does not get there keeps the callers of the others away for two minutes, and no longer.
    /// </summary>
    public bool IsReady => !_isLeaving && IsReadyAfter([.. _cells.Select(cell => cell.IsServing)], Stopwatch.GetElapsedTime(_begun));

    /// <param name="serving">Of each cell, whether all its models have served.</param>
    internal static bool IsReadyAfter(IReadOnlyList<bool> serving, TimeSpan sinceStart) => serving.All(cell => cell) || (sinceStart >= s_patience && serving.Any(cell => cell));

    /// <summary>What <c>/metrics</c> shows.</summary>
    public CollectorRegistry Metrics => _api.Metrics;

    /// <summary>Completes, with one sentence, when a cell has removed this coordinator: what it shows is no longer true, and whatever supervises the process starts it anew.</summary>
    public async Task<string> StoppedAsync()
    {
        Task<string> first = await Task.WhenAny(_cells.Select(cell => cell.Stopped));
        return $"cell {_cells.First(cell => cell.Stopped == first).Tenant}: {await first}";
    }

    /// <summary>Is not ready any more and answers on for a while, until those who balance load have noticed; then takes no new generations and lets those that run end, at most until the deadline.</summary>
    public async Task DrainAsync(TimeSpan linger, TimeSpan deadline)
    {
        _isLeaving = true;
        await _api.LingerAsync(linger);
        long begun = Stopwatch.GetTimestamp();
        await Task.WhenAll(_cells.Select(cell => cell.DrainAsync(deadline)));

        // The last token is generated; a slow reader does not have it yet.
        TimeSpan left = deadline - Stopwatch.GetElapsedTime(begun);
        await _api.FinishAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero);
    }

    /// <summary>Ends the API's requests, then the cells; at most five seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (Cell cell in _cells)
        {
            cell.EndGenerations();
        }

        await Task.WhenAll(_api.DisposeAsync().AsTask(), _admin?.DisposeAsync().AsTask() ?? Task.CompletedTask);
        await Task.WhenAll(_cells.Select(cell => cell.DisposeAsync().AsTask()));
        await _watch.DisposeAsync();
        await Quotas.DisposeAsync();
        if (Access is not null)
        {
            await Access.DisposeAsync();
        }
    }
}

public enum DeploymentPhase { Importing, WaitingForNodes, Loading, Ready, Failed }

/// <summary>What an operator sees of a deployment.</summary>
public sealed record DeploymentView(
    string Name,
    DeploymentPhase Phase,
    int Epoch,
    IReadOnlyList<StageView> Stages,
    long LoadedBytes,
    long TotalBytes,
    string? Problem,
    bool Refused = false);

/// <param name="Pipeline">Its place among those shown.</param>
/// <param name="Epoch">Of its pipeline.</param>
public sealed record StageView(int Pipeline, int Stage, string Node, int ProcessId, int FirstLayer, int EndLayer, StagePhase Phase, long MemoryBytes, int Epoch = 0);
