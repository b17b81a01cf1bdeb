using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Lamina.Coordinator;

/// <summary>The front process: HTTP API, cells, model store, deployments. Runs until disposed.</summary>
public sealed class CoordinatorHost : IAsyncDisposable
{
    private readonly ApiServer _api;
    private readonly IReadOnlyList<Cell> _cells;

    private CoordinatorHost(ApiServer api, IReadOnlyList<Cell> cells, AccessControl? access)
    {
        _api = api;
        _cells = cells;
        Access = access;
    }

    /// <summary>Validates the options, opens the cells and the HTTP listener, starts to deploy the configured models. Throws with one clear sentence when it cannot.</summary>
    public static async Task<CoordinatorHost> StartAsync(CoordinatorOptions options, ILoggerFactory loggers, CancellationToken cancellation)
    {
        CoordinatorOptionsValidator.Validate(options);
        var cells = new List<Cell>();
        AccessControl? access = null;
        try
        {
            access = options.KeepState ? await AccessControl.StartAsync(options, loggers.CreateLogger("Lamina.Access"), cancellation) : null;
            foreach (CellOptions cell in options.Cells)
            {
                cells.Add(await Cell.StartAsync(cell, options.StorePath, loggers, cancellation));
            }

            ApiServer api = await ApiServer.StartAsync(options, () => cells, access, loggers, cancellation);
            return new CoordinatorHost(api, cells, access);
        }
        catch
        {
            foreach (Cell cell in cells)
            {
                await cell.DisposeAsync();
            }

            if (access is not null)
            {
                await access.DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>Base address of the HTTP API, with the port really bound.</summary>
    public Uri HttpAddress => _api.Address;

    public IReadOnlyList<Cell> Cells => _cells;

    /// <summary>Database, tenants and keys; null where no state is kept.</summary>
    public AccessControl? Access { get; }

    /// <summary>True while every configured model serves.</summary>
    public bool IsReady => _cells.All(cell => cell.Deployments.All(deployment => deployment.Phase == DeploymentPhase.Ready));

    /// <summary>What <c>/metrics</c> shows.</summary>
    public CollectorRegistry Metrics => _api.Metrics;

    /// <summary>Ends the API's requests, then the cells; at most five seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (Cell cell in _cells)
        {
            cell.EndGenerations();
        }

        await _api.DisposeAsync();
        await Task.WhenAll(_cells.Select(cell => cell.DisposeAsync().AsTask()));
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
    string? Problem);

public sealed record StageView(int Pipeline, int Stage, string Node, int ProcessId, int FirstLayer, int EndLayer, StagePhase Phase, long MemoryBytes);
