using Lamina.Cli.Output;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Coordinator;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Quotas;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Embedded;

internal sealed record EmbeddedCellOptions
{
    public int Nodes { get; init; } = 3;

    /// <summary>Compute threads per stage; 0 shares the cores out among the nodes.</summary>
    public int Threads { get; init; }

    /// <summary>What each node computes on, in every tenant's cell.</summary>
    public IReadOnlyList<string> Devices { get; init; } = ["cpu"];
    public string Listen { get; init; } = "127.0.0.1:0";
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];

    /// <summary>Tenants side by side, each with a cell and nodes of its own, instead of one local tenant with <see cref="Nodes"/> and <see cref="Models"/>.</summary>
    public IReadOnlyList<EmbeddedTenant> Tenants { get; init; } = [];

    /// <summary>Of the local tenant.</summary>
    public TenantQuotas Quotas { get; init; } = TenantQuotas.Unlimited;
    public StreamOptions Streams { get; init; } = new();
    public ModelImportOptions Import { get; init; } = OwnFiles;

    /// <summary>Folder of the model store and the database, which stays; null = both go with this run.</summary>
    public string? StorePath { get; init; }
    public bool? RequireKeys { get; init; }
    public TlsOptions? Tls { get; init; }
    public AdminOptions? Admin { get; init; }
    public bool AllowPlainHttp { get; init; }
    public OidcOptions? Oidc { get; init; }
    public SecurityContactOptions? SecurityContact { get; init; }
    public string? Database { get; init; }
    public string? SecretPath { get; init; }
    public ILoggerFactory Loggers { get; init; } = Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;

    /// <summary>One user's own files, named on that user's own command line: parsed here and not copied, so that the cell starts at once.</summary>
    public static readonly ModelImportOptions OwnFiles = new() { Sandbox = false, CopyFiles = false };
}

/// <param name="Threads">Compute threads per stage; 0 shares the cores out among all nodes.</param>
internal sealed record EmbeddedTenant(TenantId Tenant, int Nodes, int Threads, IReadOnlyList<ModelOptions> Models)
{
    public TenantQuotas Quotas { get; init; } = TenantQuotas.Unlimited;
    public StreamOptions Streams { get; init; } = new();
    public ModelImportOptions Import { get; init; } = new();
}

/// <summary>
/// Whole cells on loopback, one for each tenant: the coordinator in this process, each node a process of its own, PKIs made for this run. Everything it made, processes
/// and files, is gone after disposal; nodes also end by themselves when this process dies.
/// </summary>
internal sealed class EmbeddedCell : IAsyncDisposable
{
    private static readonly TenantId LocalTenant = new("local");

    private readonly WorkFolder _work;
    private readonly IReadOnlyList<EphemeralPki> _pkis;
    private readonly CoordinatorHost _host;
    private readonly IReadOnlyList<NodeProcess> _nodes;

    private EmbeddedCell(WorkFolder work, IReadOnlyList<EphemeralPki> pkis, CoordinatorHost host, IReadOnlyList<NodeProcess> nodes)
    {
        _work = work;
        _pkis = pkis;
        _host = host;
        _nodes = nodes;
    }

    /// <summary>The only tenant, or the first.</summary>
    public TenantId Tenant => _host.Cells[0].Tenant;
    public Uri HttpAddress => _host.HttpAddress;
    public Uri? AdminAddress => _host.AdminAddress;
    public IReadOnlyList<Cell> Cells => _host.Cells;
    public DeploymentView View => _host.Cells[0].Deployments[0];
    public IReadOnlyList<NodeProcess> Nodes => _nodes;

    /// <summary>Whether the API asks for keys.</summary>
    public bool NeedsKeys => _host.NeedsKeys;

    /// <summary>Tenants and keys; null where the API asks for no keys and nothing is kept.</summary>
    public AccessControl? Access => _host.Access;

    /// <summary>Returns when every model serves; throws with one sentence when one cannot, after cleaning up.</summary>
    public static async Task<EmbeddedCell> StartAsync(EmbeddedCellOptions options, LoadProgress progress, CancellationToken cancellation)
    {
        WorkFolder work = WorkFolder.Create();
        string folder = work.Path;
        IReadOnlyList<EmbeddedTenant> tenants = options.Tenants.Count > 0 ? options.Tenants : [new EmbeddedTenant(LocalTenant, options.Nodes, options.Threads, options.Models) { Quotas = options.Quotas, Streams = options.Streams, Import = options.Import }];
        List<EphemeralPki> pkis = [];
        CoordinatorHost? host = null;
        List<NodeProcess> nodes = [];
        try
        {
            foreach (EmbeddedTenant tenant in tenants)
            {
                pkis.Add(EphemeralPki.Create(Path.Combine(folder, "pki", tenant.Tenant.Value), tenant.Tenant, ["coordinator"], NodeNames(tenant)));
            }

            host = await CoordinatorHost.StartAsync(CoordinatorOptions(options, tenants, folder, pkis), options.Loggers, cancellation);
            HeapRelease.WhenIdle(host);
            int all = tenants.Sum(tenant => tenant.Nodes);
            foreach ((EmbeddedTenant tenant, EphemeralPki pki, Cell cell) in tenants.Zip(pkis, host.Cells))
            {
                string home = Directory.CreateDirectory(Path.Combine(folder, "nodes", tenant.Tenant.Value)).FullName;
                nodes.AddRange(NodeNames(tenant).Select((name, index) => NodeProcess.Start(home, NodeOptions(name, tenant, all, home, pki, cell.ControlEndpoint, options.Devices[index % options.Devices.Count]))));
            }

            await WaitReadyAsync(host, nodes, tenants, progress, cancellation);
            return new EmbeddedCell(work, pkis, host, nodes);
        }
        catch
        {
            await StopAsync(host, nodes, pkis, work);
            throw;
        }
    }

    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation) =>
        _host.Cells[0].GenerateAsync(View.Name, submit, onTokens, cancellation);

    public async ValueTask DisposeAsync() => await StopAsync(_host, _nodes, _pkis, _work);

    private static IEnumerable<string> NodeNames(EmbeddedTenant tenant) => Enumerable.Range(1, tenant.Nodes).Select(number => $"node-{number}");

    private static async Task WaitReadyAsync(CoordinatorHost host, List<NodeProcess> nodes, IReadOnlyList<EmbeddedTenant> tenants, LoadProgress progress, CancellationToken cancellation)
    {
        using CancellationTokenSource waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task ready = Task.WhenAll(tenants.Zip(host.Cells).SelectMany(pair => pair.First.Models.Select(model =>
            pair.Second.WaitReadyAsync(ModelNames.Of(model).Value, progress, waiting.Token))));
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

    private static CoordinatorOptions CoordinatorOptions(EmbeddedCellOptions options, IReadOnlyList<EmbeddedTenant> tenants, string folder, IReadOnlyList<EphemeralPki> pkis)
    {
        var coordinator = new CoordinatorOptions
        {
            Listen = options.Listen,
            StorePath = options.StorePath ?? Path.Combine(folder, "store"),
            RequireKeys = options.RequireKeys,
            Tls = options.Tls,
            Admin = options.Admin,
            AllowPlainHttp = options.AllowPlainHttp,
            Oidc = options.Oidc,
            SecurityContact = options.SecurityContact,
            Database = options.Database,
            SecretPath = options.SecretPath,
            Cells = [.. tenants.Zip(pkis, CellOptions)],
        };
        return coordinator with { KeepState = options.StorePath is not null || options.Database is not null || options.Admin is not null || coordinator.NeedsKeys() };
    }

    private static CellOptions CellOptions(EmbeddedTenant tenant, EphemeralPki pki)
    {
        CertificateFiles files = pki.Files(PeerRole.Coordinator, "coordinator");
        return new CellOptions
        {
            Tenant = tenant.Tenant,
            Name = "coordinator",
            CertificatePath = files.CertificatePath,
            KeyPath = files.KeyPath,
            TrustBundlePath = files.TrustBundlePath,
            Models = tenant.Models,
            Quotas = tenant.Quotas,
            Streams = tenant.Streams,
            Import = tenant.Import,
        };
    }

    /// <param name="all">Nodes of all tenants, which share the machine.</param>
    private static Dictionary<string, object> NodeOptions(string name, EmbeddedTenant tenant, int all, string folder, EphemeralPki pki, Endpoint seed, string device)
    {
        CertificateFiles files = pki.Files(PeerRole.Node, name);
        return new Dictionary<string, object>
        {
            ["Tenant"] = tenant.Tenant.Value,
            ["Name"] = name,
            ["CertificatePath"] = files.CertificatePath,
            ["KeyPath"] = files.KeyPath,
            ["TrustBundlePath"] = files.TrustBundlePath,
            ["Seeds"] = new[] { seed.ToString() },
            ["CachePath"] = Path.Combine(folder, name),
            ["Threads"] = tenant.Threads > 0 ? tenant.Threads : Math.Max(1, Environment.ProcessorCount / all),
            ["Device"] = device,
            ["MemoryBytes"] = device == "cpu" ? MachineMemory() / all : 0,
        };
    }

    /// <summary>The embedded nodes share one machine; each may use its part of four fifths of it.</summary>
    private static long MachineMemory() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 5 * 4;

    private static async Task StopAsync(CoordinatorHost? host, IReadOnlyList<NodeProcess> nodes, IReadOnlyList<EphemeralPki> pkis, WorkFolder work)
    {
        // At the same time: neither side needs the other to end.
        Task[] ending = [.. nodes.Select(node => node.StopAsync()), host?.DisposeAsync().AsTask() ?? Task.CompletedTask];
        await Task.WhenAll(ending);
        foreach (EphemeralPki pki in pkis)
        {
            pki.Dispose();
        }

        work.Dispose();
    }
}
