using System.Collections.Concurrent;
using Akka.Actor;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Compute.Gguf;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Node.Tests.Support;

/// <summary>A cell of real nodes in this process, driven by what a coordinator would send; everything over mutual TLS on loopback.</summary>
internal sealed class TestCell : IAsyncDisposable
{
    public static readonly TenantId Tenant = new("test");

    public static readonly StageSettings Settings = new(
        ContextLength: 256, KvBlocks: 64, MaxSequences: 8, MaxBatchRows: 64, PrefillChunk: 64, KvType: (int)GgmlType.F16, Threads: 1);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-cell-").FullName;
    private readonly EphemeralPki _pki;
    private readonly Dictionary<string, NodeHost> _nodes = [];
    private CellSystem _front = null!;
    private LinkListener _blobs = null!;
    private IActorRef _desk = null!;

    private TestCell(IEnumerable<string> nodes) => _pki = EphemeralPki.Create(Path.Combine(_folder, "pki"), Tenant, ["front"], nodes);

    public TinyModel Model { get; } = new();

    public TestStore Store { get; private set; } = null!;

    public CertificateProvider Certificates { get; private set; } = null!;

    /// <summary>What nodes reported, in order.</summary>
    public ConcurrentQueue<IWireMessage> Reports { get; } = [];

    public IReadOnlyDictionary<string, NodeHost> Nodes => _nodes;

    public Endpoint Source => _blobs.Endpoint;

    /// <summary>The coordinator's side, with certificates for those nodes.</summary>
    public static async Task<TestCell> StartAsync(params string[] nodes)
    {
        var cell = new TestCell(nodes);
        cell.Store = new TestStore(cell.Model.File);
        cell.Certificates = CertificateProvider.FromFiles(cell._pki.Files(PeerRole.Coordinator, "front"));
        cell._front = await CellSystem.StartAsync(new CellOptions { Certificates = cell.Certificates }, default);
        cell._blobs = LinkListener.Start(new LinkOptions(), cell.Certificates, (hello, _) => new LinkDecision(link => new BlobServer(link, cell.Store), null));
        cell._desk = cell._front.System.ActorOf(Props.Create(() => new Desk(cell.Reports)), "desk");
        return cell;
    }

    public async Task StartNodesAsync(params string[] names)
    {
        foreach (string name in names)
        {
            _nodes[name] = await NodeHost.StartAsync(Options(name), NullLoggerFactory.Instance, default);
        }

        await Task.WhenAll(names.Select(name =>
            ReportAsync<NodeEvents.NodeDescribed>(d => d.Node.Value == name, () => Tell(name, new NodeCommands.DescribeNode(Tenant)))));
    }

    public async Task StopNodeAsync(string name)
    {
        _nodes.Remove(name, out NodeHost? node);
        await node!.DisposeAsync();
    }

    public string CachePath(string node) => Path.Combine(_folder, "cache", node);

    public NodeOptions Options(string name)
    {
        CertificateFiles files = _pki.Files(PeerRole.Node, name);
        return new NodeOptions
        {
            Tenant = Tenant,
            Name = new NodeName(name),
            CertificatePath = files.CertificatePath,
            KeyPath = files.KeyPath,
            TrustBundlePath = files.TrustBundlePath,
            Seeds = [_front.ControlEndpoint],
            CachePath = CachePath(name),
            Threads = 1,
        };
    }

    public void Tell(string node, IWireMessage command)
    {
        Address address = _front.System.Provider().DefaultAddress.WithHost(_nodes[node].ControlEndpoint.Host).WithPort(_nodes[node].ControlEndpoint.Port);
        _front.System.ActorSelection(new RootActorPath(address) / "user" / "node").Tell(command, _desk);
    }

    /// <summary>The first report that fits, sent or yet to come.</summary>
    public async Task<T> ReportAsync<T>(Func<T, bool> fits, Action? again = null)
        where T : IWireMessage
    {
        long until = Environment.TickCount64 + 30_000;
        while (true)
        {
            if (Reports.OfType<T>().FirstOrDefault(fits) is { } found)
            {
                return found;
            }

            Assert.True(Environment.TickCount64 < until, $"no {typeof(T).Name} that fits came; reports: {string.Join("; ", Reports.Where(r => r is not NodeEvents.StageProgress))}");
            again?.Invoke();
            await Task.Delay(20);
        }
    }

    public StageAddress Address(int epoch, int stage) => new(new DeploymentId("tiny"), epoch, 0, stage);

    public NodeCommands.LoadStage Plan(int epoch, int stage, int stages, StageSettings? settings = null, Endpoint[]? sources = null)
    {
        int share = TinyModel.Layers / stages;
        int end = stage == stages - 1 ? TinyModel.Layers : (stage + 1) * share;
        return new NodeCommands.LoadStage(Tenant, Address(epoch, stage), stages, stage * share, end, Store.ModelDigest, sources ?? [Source], settings ?? Settings, null);
    }

    /// <summary>Loads and connects one stage per node, in order.</summary>
    public async Task DeployAsync(int epoch, params string[] nodes)
    {
        await Task.WhenAll(nodes.Select((node, stage) => LoadAsync(node, Plan(epoch, stage, nodes.Length) with { Predecessor = Predecessor(nodes, stage) })));
        for (int i = 0; i < nodes.Length; i++)
        {
            string? next = i + 1 < nodes.Length ? nodes[i + 1] : null;
            string? head = next is null && nodes.Length > 1 ? nodes[0] : null;
            Tell(nodes[i], new NodeCommands.ConnectStage(Tenant, Address(epoch, i), Link(next), Name(next), Link(head), Name(head)));
        }

        await Task.WhenAll(nodes.Select((_, stage) => ReportAsync<NodeEvents.StageReady>(r => r.Address == Address(epoch, stage))));
    }

    public async Task LoadAsync(string node, NodeCommands.LoadStage plan)
    {
        Tell(node, plan);
        await ReportAsync<NodeEvents.StageLoaded>(r => r.Address == plan.Address);
    }

    public async Task<TestHeadLink> OpenHeadAsync(string node, int epoch)
    {
        var hello = new LinkHello(LinkHello.CurrentVersion, LinkPurpose.Generations, Tenant, Certificates.Self.Name, Address(epoch, 0));
        return new TestHeadLink(await LinkDialler.DialAsync(_nodes[node].LinkEndpoint, node, hello, new LinkOptions(), Certificates, default), epoch);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Values.Select(n => n.DisposeAsync().AsTask()));
        await _blobs.DisposeAsync();
        await _front.DisposeAsync();
        Certificates.Dispose();
        _pki.Dispose();
        Store.Dispose();
        Model.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static NodeName? Predecessor(string[] nodes, int stage) => nodes.Length == 1 ? null : new NodeName(nodes[(stage + nodes.Length - 1) % nodes.Length]);

    private Endpoint? Link(string? node) => node is null ? null : _nodes[node].LinkEndpoint;

    private static NodeName? Name(string? node) => node is null ? null : new NodeName(node);

    private sealed class Desk : ReceiveActor
    {
        public Desk(ConcurrentQueue<IWireMessage> reports) => Receive<IWireMessage>(reports.Enqueue);
    }
}

internal static class ActorSystemExtensions
{
    public static IActorRefProvider Provider(this ActorSystem system) => ((ExtendedActorSystem)system).Provider;
}
