using Lamina.Cli.Output;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Coordinator;
using Lamina.Coordinator.Cells;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Embedded;

internal sealed record EmbeddedCellOptions
{
    public int Nodes { get; init; } = 3;

    /// <summary>Compute threads per stage; 0 shares the cores out among the nodes.</summary>
    public int Threads { get; init; }
    public string Listen { get; init; } = "127.0.0.1:0";
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];
    public ILoggerFactory Loggers { get; init; } = Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;
}

/// <summary>
/// A whole cell on loopback: the coordinator in this process, each node a process of its own, a PKI made for this run. Everything it made, processes and files,
/// is gone after disposal; nodes also end by themselves when this process dies.
/// </summary>
internal sealed class EmbeddedCell : IAsyncDisposable
{
    private static readonly TenantId LocalTenant = new("local");

    private readonly string _folder;
    private readonly EphemeralPki _pki;
    private readonly CoordinatorHost _host;
    private readonly IReadOnlyList<NodeProcess> _nodes;

    private EmbeddedCell(string folder, EphemeralPki pki, CoordinatorHost host, IReadOnlyList<NodeProcess> nodes)
    {
        _folder = folder;
        _pki = pki;
        _host = host;
        _nodes = nodes;
    }

    public TenantId Tenant => LocalTenant;
    public Uri HttpAddress => _host.HttpAddress;
    public IReadOnlyList<DeploymentView> Views => _host.Cells[0].Deployments;
    public DeploymentView View => Views[0];
    public IReadOnlyList<NodeProcess> Nodes => _nodes;

    /// <summary>Returns when every model serves; throws with one sentence when one cannot, after cleaning up.</summary>
    public static async Task<EmbeddedCell> StartAsync(EmbeddedCellOptions options, LoadProgress progress, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("lamina-").FullName;
        EphemeralPki? pki = null;
        CoordinatorHost? host = null;
        List<NodeProcess> nodes = [];
        try
        {
            string[] names = [.. Enumerable.Range(1, options.Nodes).Select(number => $"node-{number}")];
            pki = EphemeralPki.Create(Path.Combine(folder, "pki"), LocalTenant, ["coordinator"], names);
            host = await CoordinatorHost.StartAsync(CoordinatorOptions(options, folder, pki), options.Loggers, cancellation);
            foreach (string name in names)
            {
                nodes.Add(NodeProcess.Start(folder, NodeOptions(name, options, folder, pki, host.Cells[0].ControlEndpoint)));
            }

            await WaitReadyAsync(host, nodes, options, progress, cancellation);
            return new EmbeddedCell(folder, pki, host, nodes);
        }
        catch
        {
            await StopAsync(host, nodes, pki, folder);
            throw;
        }
    }

    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation) =>
        _host.Cells[0].GenerateAsync(View.Name, submit, onTokens, cancellation);

    public async ValueTask DisposeAsync() => await StopAsync(_host, _nodes, _pki, _folder);

    private static async Task WaitReadyAsync(CoordinatorHost host, List<NodeProcess> nodes, EmbeddedCellOptions options, LoadProgress progress, CancellationToken cancellation)
    {
        using CancellationTokenSource waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task ready = Task.WhenAll(options.Models.Select(model =>
            host.Cells[0].WaitReadyAsync(ModelNames.Of(model).Value, progress, waiting.Token)));
        Task<string> lost = FirstExit(nodes);
        if (await Task.WhenAny(ready, lost) == lost)
        {
            await waiting.CancelAsync();
            throw new CommandException(await lost);
        }

        await ready;
        progress.Done();
    }

    private static async Task<string> FirstExit(IReadOnlyList<NodeProcess> nodes)
    {
        NodeProcess first = await await Task.WhenAny(nodes.Select(async node =>
        {
            await node.Exited;
            return node;
        }));
        return $"{first.Name} ended with exit code {first.ExitCode}: {first.LastError()}";
    }

    private static CoordinatorOptions CoordinatorOptions(EmbeddedCellOptions options, string folder, EphemeralPki pki)
    {
        CertificateFiles files = pki.Files(PeerRole.Coordinator, "coordinator");
        return new CoordinatorOptions
        {
            Listen = options.Listen,
            StorePath = Path.Combine(folder, "store"),
            KeepState = false,
            Cells =
            [
                new CellOptions
                {
                    Tenant = LocalTenant,
                    Name = "coordinator",
                    CertificatePath = files.CertificatePath,
                    KeyPath = files.KeyPath,
                    TrustBundlePath = files.TrustBundlePath,
                    Models = options.Models,
                },
            ],
        };
    }

    private static Dictionary<string, object> NodeOptions(string name, EmbeddedCellOptions options, string folder, EphemeralPki pki, Endpoint seed)
    {
        CertificateFiles files = pki.Files(PeerRole.Node, name);
        return new Dictionary<string, object>
        {
            ["Tenant"] = LocalTenant.Value,
            ["Name"] = name,
            ["CertificatePath"] = files.CertificatePath,
            ["KeyPath"] = files.KeyPath,
            ["TrustBundlePath"] = files.TrustBundlePath,
            ["Seeds"] = new[] { seed.ToString() },
            ["CachePath"] = Path.Combine(folder, name),
            ["Threads"] = options.Threads > 0 ? options.Threads : Math.Max(1, Environment.ProcessorCount / options.Nodes),
            ["MemoryBytes"] = MachineMemory() / options.Nodes,
        };
    }

    /// <summary>The embedded nodes share one machine; each may use its part of four fifths of it.</summary>
    private static long MachineMemory() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 5 * 4;

    private static async Task StopAsync(CoordinatorHost? host, IReadOnlyList<NodeProcess> nodes, EphemeralPki? pki, string folder)
    {
        // At the same time: neither side needs the other to end.
        Task[] ending = [.. nodes.Select(node => node.StopAsync()), host?.DisposeAsync().AsTask() ?? Task.CompletedTask];
        await Task.WhenAll(ending);
        pki?.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
