using System.Net.Sockets;
using Akka.Actor;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Cells;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Quotas;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator;

/// <summary>One tenant's cell seen from its coordinator: its own actor system, ports, certificates, model store and deployments.</summary>
public sealed class Cell : IAsyncDisposable
{
    private static readonly TimeSpan s_leaveDeadline = TimeSpan.FromSeconds(3);

    /// <summary>A cell ends with its only coordinator: nobody takes over, so nobody has to agree.</summary>
    private static readonly TimeSpan s_lastLeaveDeadline = TimeSpan.FromSeconds(1);

    private readonly CellContext _context;
    private readonly LinkListener _listener;
    private readonly SuspendedNodes _suspended;
    private readonly CancellationTokenSource _stopping;
    private CellSystem? _system;
    private CellRenewal? _renewal;
    private IActorRef? _registry;
    private IActorRef? _follower;
    private IActorRef? _governors;
    private int _coordinators;
    private bool _isOnlyCoordinator;

    private Cell(CellContext context, LinkListener listener, CellPeers peers, SuspendedNodes suspended, CancellationTokenSource stopping)
    {
        _context = context;
        Peers = peers;
        _listener = listener;
        _suspended = suspended;
        _stopping = stopping;
    }

    public TenantId Tenant => _context.Tenant;

    /// <summary>Seed that nodes are told.</summary>
    public Endpoint ControlEndpoint { get; private set; }

    /// <summary>When this coordinator's certificate in the cell runs out, unless it is replaced before.</summary>
    public DateTimeOffset CertificateEnds => _context.Certificates.NotAfter;

    public Endpoint LinkEndpoint => _listener.Endpoint;

    /// <summary>Current view of every deployment: phase, progress, plan (which node holds which layers).</summary>
    public IReadOnlyList<DeploymentView> Deployments => _context.Board.Deployments;

    /// <summary>Nodes that are up and have described themselves.</summary>
    public IReadOnlyList<NodeView> Nodes => _context.Board.Nodes;

    /// <summary>Tokenizer and template of a deployment; null before its model is imported.</summary>
    public ServedModel? FindModel(string deployment) => _context.Board.FindModel(deployment);

    /// <summary>Coordinator that owns a deployment's plan; empty before one has said so.</summary>
    public string OwnerOf(string deployment) => _context.Shown.GetValueOrDefault(new DeploymentId(deployment))?.Owner ?? "";

    /// <summary>True once the deployment has served: generations that come while it recovers from a loss wait for it.</summary>
    public bool HasServed(string deployment) => _context.Board.IsAccepting(deployment);

    /// <summary>True once every deployment has served and its vocabulary is here: requests are answered, or wait while a loss is repaired.</summary>
    internal bool IsServing => _context.Board.Deployments.All(deployment => HasServed(deployment.Name) && FindModel(deployment.Name) is not null);

    /// <summary>True once this coordinator is about to end: it finishes what runs and takes nothing new.</summary>
    public bool IsRefusing { get; private set; }

    /// <summary>Peers that this coordinator's ports have refused so far, by reason, and whom the last of them claimed to be.</summary>
    internal IEnumerable<(RefusalReason Reason, long Count, string? Last)> PeerRefusals =>
        Enum.GetValues<RefusalReason>().Select(reason => (reason, _context.Certificates.Refusals(reason), _context.Certificates.LastRefused(reason)));

    /// <summary>Null before this coordinator has joined.</summary>
    internal IActorRef? NodeRegistry => _registry;

    /// <summary>The cell's other coordinators.</summary>
    internal CellPeers Peers { get; }

    /// <summary>Has a node's stages placed elsewhere; the node then leaves the cell and ends. False when no node of that name is up.</summary>
    public bool Drain(NodeName node)
    {
        if (_registry is null || _context.Board.Nodes.All(view => view.Name != node))
        {
            return false;
        }

        _registry.Tell(new NodeRegistryActor.SendToNode(node, new NodeCommands.DrainNode(Tenant)));
        return true;
    }

    /// <summary>
    /// What planning a deployment anew would replace as things are now, as its owner would decide it; null where there is no such deployment, or none that this coordinator knows the
    /// model of.
    /// </summary>
    /// <param name="roll">Loads also those pipelines anew whose plan comes out as it was.</param>
    internal IReadOnlyList<DeploymentState.Replacement>? PreviewReplan(string deployment, bool roll)
    {
        if (_context.Shown.GetValueOrDefault(new DeploymentId(deployment)) is not { Model: { } offer } shown || FindModel(deployment) is not { } model)
        {
            return null;
        }

        DeploymentState state = DeploymentWire.Look(shown);
        state = state with { Model = DeploymentWire.Facts(offer, model, state.Spec, shown.Sources), Nodes = state.Nodes.AddRange(Nodes.Select(node => KeyValuePair.Create(node.Name, node))) };
        return state.Replacements(roll);
    }

    /// <summary>
    /// Has a deployment's pipelines planned anew and replaced one after the other, each by one that is built beside it; answers go on. A roll looks at the model's file again: one that
    /// holds another model now is imported as at the start, and the new pipelines are of it.
    /// </summary>
    /// <returns>Once it is under way, null; else why the file cannot be taken: then nothing is rolled.</returns>
    internal async Task<string?> ReplanAsync(string deployment, bool roll)
    {
        var looked = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (_follower is null)
        {
            return "this coordinator has not joined its cell yet";
        }

        _follower.Tell(new DeploymentFollower.Replan(new DeploymentId(deployment), roll, looked));
        return await looked.Task.WaitAsync(_context.Stopping);
    }

    /// <summary>Completes, with the reason, when the cell goes on without this coordinator: a process that was cut off must begin anew.</summary>
    internal Task<string> Stopped => _system?.Stopped ?? Task.FromResult("it did not join");

    /// <summary>Takes no new generations and waits for those that run, at most until the deadline.</summary>
    internal async Task DrainAsync(TimeSpan deadline)
    {
        IsRefusing = true;
        long until = Environment.TickCount64 + (long)deadline.TotalMilliseconds;
        while (_context.Routers.Values.Any(router => router.Active > 0) && Environment.TickCount64 < until)
        {
            await Task.Delay(20);
        }
    }

    /// <summary>What the heads of a deployment report, summed.</summary>
    /// <param name="active">Generations that run or wait, as this coordinator counts them.</param>
    public GenerationProtocol.HeadLoad LoadOf(string deployment, out int active)
    {
        GenerationRouter? router = _context.Routers.GetValueOrDefault(new DeploymentId(deployment));
        active = router?.Active ?? 0;
        return router?.Load ?? new GenerationProtocol.HeadLoad(0, 0, 0, 0, 0);
    }

    /// <summary>What the head of one of a deployment's pipelines reports.</summary>
    public GenerationProtocol.HeadLoad LoadOf(string deployment, int epoch) =>
        _context.Routers.GetValueOrDefault(new DeploymentId(deployment))?.LoadOf(epoch) ?? new GenerationProtocol.HeadLoad(0, 0, 0, 0, 0);

    /// <summary>Decides about the tenant's requests: here where this is its only coordinator, else by the cell's one governor.</summary>
    internal IQuotaGovernor CreateGovernor(TenantBudget start, TimeProvider time) => _governors is null
        ? new LocalGovernor(start, time)
        : new ClusterGovernor(_system!.System, _governors, Tenant, _context.Name, _coordinators, start, time);

    /// <summary>Nodes that no plan may use, and that get no blobs and no certificates, until they are lifted; what runs on them moves to others.</summary>
    internal void SetSuspended(IEnumerable<string> nodes)
    {
        HashSet<string> names = nodes.ToHashSet(StringComparer.Ordinal);
        _suspended.Change(names);
        _registry?.Tell(new NodeRegistryActor.SetSuspended(names));
    }

    /// <summary>Completes when the deployment serves; throws with one clear sentence when it failed. Progress comes with each change of the view.</summary>
    public Task<DeploymentView> WaitReadyAsync(string deployment, IProgress<DeploymentView>? progress, CancellationToken cancellation) =>
        _context.Board.WaitReadyAsync(deployment, progress, cancellation);

    /// <summary>
    /// Runs one generation by tokens, past the HTTP layer (<c>lamina run --nodes K</c>), with the same failover. The callback comes from a link's thread and must
    /// not block. Throws <see cref="InvalidOperationException"/> when there is no such deployment.
    /// </summary>
    /// <param name="model">Digest of the model that the prompt's tokens are of, and that alone may answer; null = whichever serves.</param>
    /// <param name="began">Told the epoch of each attempt.</param>
    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(
        string deployment, GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation, GenerationFlow? flow = null, string? model = null,
        Action<int>? began = null)
    {
        var id = new DeploymentId(deployment);
        return _context.Models.ContainsKey(id) || _context.Shown.ContainsKey(id)
            ? _context.RouterOf(id).RunAsync(submit, onTokens, cancellation, flow, model, began)
            : throw new InvalidOperationException($"there is no deployment named {deployment}");
    }

    /// <summary>The embedding of a submission's prompt, with the same failover; null unless the outcome is Stop. Throws as <see cref="GenerateAsync"/>.</summary>
    internal Task<(GenerationProtocol.GenerationEnded Ended, float[]? Embedding)> EmbedAsync(
        string deployment, GenerationProtocol.Submit submit, CancellationToken cancellation, string? model = null, Action<int>? began = null)
    {
        var id = new DeploymentId(deployment);
        return _context.Models.ContainsKey(id)
            ? _context.RouterOf(id).EmbedAsync(submit, cancellation, model, began)
            : throw new InvalidOperationException($"there is no deployment named {deployment}");
    }

    internal static async Task<Cell> StartAsync(CellOptions options, string storePath, GovernorSources governor, ILoggerFactory loggers, CancellationToken cancellation)
    {
        ILogger logger = loggers.CreateLogger("Lamina.Cell");
        CertificateProvider certificates = CertificateProvider.FromFiles(options.CertificatePath, options.KeyPath, options.TrustBundlePath);
        var stopping = new CancellationTokenSource();
        Cell? cell = null;
        try
        {
            RequireIdentity(options, certificates.Self);
            ModelStore store = ModelStore.Open(Path.Combine(storePath, options.Tenant.Value), options.Import, options.Tenant.Value, note => logger.LogInformation("{Note}", note));
            var links = new LinkOptions { BindAddress = options.BindAddress, Port = options.LinkPort, PublicHost = options.PublicHost };
            var peers = new CellPeers(options.Tenant, options.Name, links, certificates, stopping.Token);
            var suspended = new SuspendedNodes();
            LinkListener listener = Listen(options, links, certificates, store, peers, suspended);
            var context = new CellContext(options.Tenant, options.Name, store, certificates, links, new DeploymentBoard(), logger, stopping.Token) { BlobEndpoint = listener.Endpoint };
            cell = new Cell(context, listener, peers, suspended, stopping);
            await cell.JoinAsync(options, governor, loggers, cancellation);
            return cell;
        }
        catch
        {
            if (cell is not null)
            {
                await cell.DisposeAsync();
            }
            else
            {
                certificates.Dispose();
                stopping.Dispose();
            }

            throw;
        }
    }

    /// <summary>Ends what runs, so that requests come to their end before the listener stops.</summary>
    internal void EndGenerations()
    {
        _context.IsEnding = true;
        _context.Board.Close("the coordinator is stopping");
        foreach (GenerationRouter router in _context.Routers.Values)
        {
            router.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _context.IsEnding = true;
        await _stopping.CancelAsync();
        EndGenerations();

        if (_system is not null)
        {
            // Whatever of an orderly leave is left after that, the process' end cuts off.
            await Task.WhenAny(_system.DisposeAsync().AsTask(), Task.Delay(_isOnlyCoordinator ? s_lastLeaveDeadline : s_leaveDeadline));
        }

        _renewal?.Dispose();
        await _listener.DisposeAsync();
        _context.Store.Dispose();
        _context.Certificates.Dispose();
    }

    private async Task JoinAsync(CellOptions options, GovernorSources governor, ILoggerFactory loggers, CancellationToken cancellation)
    {
        foreach (ModelOptions model in options.Models)
        {
            _context.Models[ModelNames.Of(model)] = model;
            _context.Board.Show(new DeploymentView(ModelNames.Of(model).Value, DeploymentPhase.Importing, 0, [], 0, 0, null), accepting: false);
        }

        await SelfTest.RequireRefusalAsync(_listener, _context.Links, _context.Certificates, cancellation);
        _isOnlyCoordinator = options.Seeds.Count <= 1;
        _system = await CellMembership.StartAsync(options, _context.Certificates, loggers, cancellation);
        ControlEndpoint = _system.ControlEndpoint;
        _renewal = CellRenewal.Start(options, _context.Certificates, _context.Logger);
        CellIssuer? issuer = _renewal?.Issuer;
        _registry = _system.System.ActorOf(Props.Create(() => new NodeRegistryActor(_context.Tenant, _context.Board, issuer, _context.Logger)), "node-registry");
        IActorRef deployments = await DeploymentSharding.StartRegionAsync(_system.System, _context, _registry);
        _coordinators = Math.Max(1, options.Seeds.Count);
        _governors = _isOnlyCoordinator ? null : await GovernorSharding.StartRegionAsync(_system.System, governor);
        _follower = _system.System.ActorOf(Props.Create(() => new DeploymentFollower(_context, deployments)), DeploymentFollower.Name);
        _system.System.ActorOf(Props.Create(() => new CutOffWatch(_context)), "cut-off-watch");
        _system.System.ActorOf(Props.Create(() => new CoordinatorDirectory(_context.Tenant, Peers, _listener.Endpoint)), CoordinatorDirectory.Name);
    }

    private static LinkListener Listen(CellOptions options, LinkOptions links, CertificateProvider certificates, ModelStore store, CellPeers peers, SuspendedNodes suspended)
    {
        try
        {
            return LinkListener.Start(links, certificates, (hello, peer) => hello.Purpose switch
            {
                LinkPurpose.Blobs => suspended.Serve(peer, store),
                LinkPurpose.Mirror or LinkPurpose.Answers => peers.Decide(hello.Purpose),
                _ => new LinkDecision(null, $"a coordinator accepts links for blobs and kept answers, not for {hello.Purpose} from a {peer.Role}"),
            });
        }
        catch (SocketException e)
        {
            throw new IOException($"the link port {options.BindAddress}:{options.LinkPort} of cell {options.Tenant} cannot be opened: {e.Message}", e);
        }
    }

    private static void RequireIdentity(CellOptions options, PeerIdentity self)
    {
        if (self.Tenant != options.Tenant || self.Role != PeerRole.Coordinator || self.Name != options.Name)
        {
            throw new ArgumentException($"the certificate {options.CertificatePath} speaks for {self.Uri}, expected coordinator {options.Name} of tenant {options.Tenant}");
        }
    }
}
