using Lamina.Cluster.Messages;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator;

/// <summary>The front process: HTTP API, cells, model store, deployments. Runs until disposed.</summary>
public sealed class CoordinatorHost : IAsyncDisposable
{
    /// <summary>Validates the options, opens the cells and the HTTP listener, starts to deploy the configured models. Throws with one clear sentence when it cannot.</summary>
    public static Task<CoordinatorHost> StartAsync(CoordinatorOptions options, ILoggerFactory loggers, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Base address of the HTTP API, with the port really bound.</summary>
    public Uri HttpAddress => throw new NotImplementedException();

    public IReadOnlyList<Cell> Cells => throw new NotImplementedException();

    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

/// <summary>One tenant's cell seen from its coordinator.</summary>
public sealed class Cell
{
    public TenantId Tenant => throw new NotImplementedException();

    /// <summary>Seed that nodes are told.</summary>
    public Endpoint ControlEndpoint => throw new NotImplementedException();

    /// <summary>Current view of every deployment: phase, progress, plan (which node holds which layers).</summary>
    public IReadOnlyList<DeploymentView> Deployments => throw new NotImplementedException();

    /// <summary>Completes when the deployment serves; throws with one clear sentence when it failed. Progress comes with each change of the view.</summary>
    public Task<DeploymentView> WaitReadyAsync(string deployment, IProgress<DeploymentView>? progress, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>Runs one generation by tokens, past the HTTP layer (<c>lamina run --nodes K</c>), with the same failover.</summary>
    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(string deployment, GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation) => throw new NotImplementedException();
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
