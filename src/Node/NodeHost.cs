using Akka.Actor;
using Akka.Event;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Devices;
using Lamina.Cluster.Remoting;
using Lamina.Node.Blobs;
using Lamina.Node.Hosting;
using Lamina.Node.Stages;
using Microsoft.Extensions.Logging;
using AkkaLevel = Akka.Event.LogLevel;
using Level = Microsoft.Extensions.Logging.LogLevel;

namespace Lamina.Node;

/// <summary>
/// A worker process of one cell: joins its Akka cluster with the role <c>node</c>, listens for links, owns stages. The returned host runs until disposed or until
/// the cell downs it.
/// </summary>
public sealed class NodeHost : IAsyncDisposable
{
    private readonly CertificateProvider _certificates;
    private readonly LinkListener _listener;
    private readonly StageRegistry _stages;
    private readonly NodeMetrics _metrics;
    private readonly CellSystem _cell;

    private readonly IActorRef _actor;
    private readonly Task<string> _drained;
    private ComputeDevice? _device;

    private NodeHost(CertificateProvider certificates, LinkListener listener, StageRegistry stages, NodeMetrics metrics, CellSystem cell, IActorRef actor, Task<string> drained)
    {
        (_certificates, _listener, _stages, _metrics, _cell, _actor, _drained) = (certificates, listener, stages, metrics, cell, actor, drained);
    }

    /// <summary>Completes when the node has stopped by itself (downed, fatal error), with the reason.</summary>
    public Task<string> Stopped => _cell.Stopped;

    /// <summary>Completes, with the reason, once a node that was asked to leave may: its stages have been placed elsewhere, or cannot be.</summary>
    public Task<string> Drained => _drained;

    /// <summary>True while this node is a full member of its cell, which may then give it stages.</summary>
    public bool IsReady => _cell.IsUp;

    public Endpoint ControlEndpoint => _cell.ControlEndpoint;

    public Endpoint LinkEndpoint => _listener.Endpoint;

    /// <summary>Validates the options (naming key, value and what is allowed), binds both ports, self-tests mutual TLS, joins. Throws with one clear sentence when it cannot.</summary>
    public static async Task<NodeHost> StartAsync(NodeOptions options, ILoggerFactory loggers, CancellationToken cancellation)
    {
        NodeOptionsValidator.Validate(options);
        ILogger logger = loggers.CreateLogger("Lamina.Node");
        CertificateProvider certificates = CertificateProvider.FromFiles(options.CertificatePath, options.KeyPath, options.TrustBundlePath);
        LinkListener? listener = null;
        NodeMetrics? metrics = null;
        CellSystem? cell = null;
        ComputeDevice? device = null;
        try
        {
            CheckIdentity(options, certificates.Self);
            int threads = options.Threads == 0 ? Environment.ProcessorCount : options.Threads;
            var cache = new BlobCache(options.CachePath);
            var links = new LinkOptions
            {
                BindAddress = options.BindAddress,
                Port = options.LinkPort,
                PublicHost = options.PublicHost,
                Log = sentence => logger.LogWarning("{Event}", sentence),
            };
            var stages = new StageRegistry(cache);
            device = ComputeDevice.Open(options.Device);
            var memory = new MemoryBudget(MemoryLimit(options, device));
            listener = LinkListener.Start(links, certificates, stages.Route);
            await SelfTest.RequireRefusalAsync(listener, links, certificates, cancellation).ConfigureAwait(false);
            metrics = new NodeMetrics(stages, memory, device, certificates);

            var fetcher = new BlobFetcher(cache, options.Tenant, links, certificates);
            var services = new StageServices(options.Tenant, options.Name, new StageLoader(cache, fetcher, threads, device), stages, memory, links, certificates, logger)
            {
                Renewal = new LeafRenewal(new CertificateFiles(options.CertificatePath, options.KeyPath, options.TrustBundlePath), certificates, TimeProvider.System),
            };
            var self = new NodeEvents.NodeDescribed(
                options.Tenant, options.Name, listener.Endpoint, memory.Limit, 0, threads, Speed(device, threads), Version(), Environment.ProcessId, [], Device: device.Name);
            cell = await CellSystem.StartAsync(CellOptions(options, certificates, loggers.CreateLogger("Lamina.Node.Cell")), cancellation).ConfigureAwait(false);
            var drained = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
            IActorRef actor = cell.System.ActorOf(NodeActor.Props(services, self, new NodeSensors(device), drained), NodeActor.Name);
            logger.LogInformation("node {Node} listens for links on {Endpoint}, may use {Bytes} bytes and {Threads} threads, computes on {Device} ({Description})", options.Name, listener.Endpoint, memory.Limit, threads, device.Name, device.Description);
            return new NodeHost(certificates, listener, stages, metrics, cell, actor, drained.Task) { _device = device };
        }
        catch
        {
            if (cell is not null)
            {
                await cell.DisposeAsync().ConfigureAwait(false);
            }

            if (listener is not null)
            {
                await listener.DisposeAsync().ConfigureAwait(false);
            }

            metrics?.Dispose();
            Release(device);
            certificates.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Has the stages placed elsewhere before it leaves, make-before-break; returns after the deadline at the latest. Streams that run through it then go on elsewhere after a pause.
    /// </summary>
    public async Task DrainAsync(TimeSpan deadline, CancellationToken cancellation)
    {
        _actor.Tell(new NodeCommands.DrainNode(_cell.Self.Tenant), _actor);
        await Task.WhenAny(_drained, _cell.Stopped, Task.Delay(deadline, cancellation)).ConfigureAwait(false);
    }

    /// <summary>Leaves the cell, closes the links, zeroes and frees the stages.</summary>
    public async ValueTask DisposeAsync()
    {
        // Until it has left the cell it answers probes: what it says of itself then keeps it out of the plans that follow the loss of its links.
        _actor.Tell(new NodeCommands.DrainNode(_cell.Self.Tenant), _actor);
        await _listener.DisposeAsync().ConfigureAwait(false);
        await _cell.DisposeAsync().ConfigureAwait(false);
        foreach (StageUnit unit in _stages.Units)
        {
            unit.Dispose();
        }

        _metrics.Dispose();
        Release(_device);
        _certificates.Dispose();
    }

    /// <summary>Of a GPU nearly all that is free: whatever else the driver and the kernels need is small.</summary>
    private static long MemoryLimit(NodeOptions options, ComputeDevice device)
    {
        if (device.MemoryBytes == 0)
        {
            return MachineMemory.Limit(options.MemoryBytes);
        }

        long free = device.FreeBytes / 100 * 95;
        return options.MemoryBytes > 0 ? Math.Min(options.MemoryBytes, free) : free;
    }

    /// <summary>For the planner: bytes per second that stages here can read.</summary>
    private static long Speed(ComputeDevice device, int threads) => device.MemoryBytesPerSecond is > 0 and double speed ? (long)speed : MemorySpeed.Measure(threads);

    private static void Release(ComputeDevice? device)
    {
        if (device is not null && device != ComputeDevice.Cpu)
        {
            device.Dispose();
        }
    }

    private static void CheckIdentity(NodeOptions options, PeerIdentity self)
    {
        if (self.Role != PeerRole.Node || self.Tenant != options.Tenant || self.Name != options.Name.Value)
        {
            throw new ArgumentException($"Node:CertificatePath names {self.Uri}, expected a certificate of node {options.Name} of tenant {options.Tenant}");
        }
    }

    private static CellOptions CellOptions(NodeOptions options, CertificateProvider certificates, ILogger logger) => new()
    {
        Certificates = certificates,
        Transport = new MtlsOptions { BindAddress = options.BindAddress, Port = options.ControlPort, PublicHost = options.PublicHost },
        Seeds = options.Seeds,
        EntryActors = [$"/user/{NodeActor.Name}"],
        Log = (level, source, message, cause) => logger.Log(Map(level), cause, "{Source}: {Message}", source, message),
    };

    private static Level Map(AkkaLevel level) => level switch
    {
        AkkaLevel.ErrorLevel => Level.Error,
        AkkaLevel.WarningLevel => Level.Warning,
        AkkaLevel.InfoLevel => Level.Information,
        _ => Level.Debug,
    };

    private static string Version() => typeof(NodeHost).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";
}
