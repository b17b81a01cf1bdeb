using Akka.Actor;
using Akka.Cluster;
using Akka.Remote;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Microsoft.Extensions.Logging;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// Knows the cell's nodes: members with the role <c>node</c> that described themselves and are reachable. Passes commands to nodes and nodes' events to their
/// deployments; an event counts only if it comes from the process that it names. A probe does not wait for a node whose control connection broke: a process that was
/// killed is known within milliseconds, one that went silent within a second. Where only others take a node for unreachable, it is asked itself before it counts as lost.
/// </summary>
internal sealed class NodeRegistryActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan s_refresh = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_probeDeadline = TimeSpan.FromSeconds(1);

    private readonly TenantId _tenant;
    private readonly DeploymentBoard _board;
    private readonly CellIssuer? _issuer;
    private readonly ILogger _logger;
    private readonly AkkaCluster _cluster = AkkaCluster.Get(Context.System);
    private readonly HashSet<Address> _members = [];

    /// <summary>Members whose control connection broke and that have not spoken since.</summary>
    private readonly HashSet<Address> _cutOff = [];

    private readonly Dictionary<Address, (NodeView View, IActorRef Actor)> _nodes = [];
    private readonly Dictionary<DeploymentId, IActorRef> _deployments = [];
    private readonly List<Probe> _probes = [];
    private IReadOnlySet<string> _suspended = new HashSet<string>();
    private int _probeNumber;

    /// <summary>Asks to be sent <see cref="NodeTable"/>s and the events of a deployment's stages.</summary>
    public sealed record Subscribe(DeploymentId Deployment) : INoSerializationVerificationNeeded;

    public sealed record NodeTable(IReadOnlyList<NodeView> Nodes) : INoSerializationVerificationNeeded;

    public sealed record SendToNode(NodeName Node, IWireMessage Command) : INoSerializationVerificationNeeded;

    /// <summary>Asks which nodes answer now; answered by <see cref="NodesProbed"/> once all have that are not cut off, or a second has passed.</summary>
    public sealed record ProbeNodes : INoSerializationVerificationNeeded;

    public sealed record NodesProbed(IReadOnlyList<NodeView> Nodes) : INoSerializationVerificationNeeded;

    /// <summary>Nodes that are as good as lost until the list changes: they are shown to no deployment, and what they say counts for nothing.</summary>
    public sealed record SetSuspended(IReadOnlySet<string> Nodes) : INoSerializationVerificationNeeded;

    private sealed record Refresh : INoSerializationVerificationNeeded
    {
        public static readonly Refresh Instance = new();
    }

    /// <summary>A node of which others say that it is unreachable has not answered here either.</summary>
    private sealed record Doubted(Address Node) : INoSerializationVerificationNeeded;

    private sealed record ProbeEnded(int Number) : INoSerializationVerificationNeeded;

    private sealed record Probe(int Number, IActorRef Asker, HashSet<Address> Unanswered);

    /// <param name="issuer">Renews certificates; null where the tenant's root key is not.</param>
    public NodeRegistryActor(TenantId tenant, DeploymentBoard board, CellIssuer? issuer, ILogger logger)
    {
        _issuer = issuer;
        _tenant = tenant;
        _board = board;
        _logger = logger;

        Receive<ClusterEvent.MemberUp>(up => Found(up.Member));
        Receive<ClusterEvent.ReachableMember>(reachable => Found(reachable.Member));
        Receive<ClusterEvent.UnreachableMember>(unreachable => OnUnreachable(unreachable.Member.Address));
        Receive<Doubted>(doubted => Lost(doubted.Node, forGood: false));
        Receive<ClusterEvent.MemberLeft>(_ => { });
        Receive<ClusterEvent.MemberExited>(exited => Lost(exited.Member.Address, forGood: true));
        Receive<ClusterEvent.MemberDowned>(downed => Lost(downed.Member.Address, forGood: true));
        Receive<ClusterEvent.MemberRemoved>(removed => Lost(removed.Member.Address, forGood: true));
        Receive<ClusterEvent.IClusterDomainEvent>(_ => { });
        Receive<DisassociatedEvent>(broken => OnCutOff(broken.RemoteAddress));
        Receive<Refresh>(_ => DescribeAll());
        Receive<Subscribe>(OnSubscribe);
        Receive<SendToNode>(OnSend);
        Receive<SetSuspended>(OnSuspended);
        Receive<ProbeNodes>(_ => OnProbe());
        Receive<ProbeEnded>(ended => EndProbe(ended.Number));
        Receive<NodeEvents.NodeDescribed>(OnDescribed);
        Receive<NodeEvents.RenewalRequested>(OnRenewal);
        Receive<NodeEvents.StageProgress>(e => Forward(e, e.Address, e.Node));
        Receive<NodeEvents.StageLoaded>(e => Forward(e, e.Address, e.Node));
        Receive<NodeEvents.StageReady>(e => Forward(e, e.Address, e.Node));
        Receive<NodeEvents.StageFailed>(e => Forward(e, e.Address, e.Node));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        _cluster.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.IReachabilityEvent));
        Context.System.EventStream.Subscribe(Self, typeof(DisassociatedEvent));
        Timers.StartPeriodicTimer(nameof(Refresh), Refresh.Instance, s_refresh);
    }

    protected override void PostStop() => _cluster.Unsubscribe(Self);

    private void Found(Member member)
    {
        if (member.HasRole("node") && member.Status == MemberStatus.Up)
        {
            _members.Add(member.Address);
            Describe(member.Address);
        }
    }

    private void OnUnreachable(Address address)
    {
        if (OwnObservation.Misses(_cluster, address))
        {
            Lost(address, forGood: false);
        }
        else if (_nodes.ContainsKey(address))
        {
            Describe(address);
            Timers.StartSingleTimer($"doubt-{address}", new Doubted(address), s_probeDeadline);
        }
    }

    private void Lost(Address address, bool forGood)
    {
        Timers.Cancel($"doubt-{address}");
        if (forGood)
        {
            _members.Remove(address);
            _cutOff.Remove(address);
        }

        if (_nodes.Remove(address, out (NodeView View, IActorRef Actor) node))
        {
            _logger.LogWarning("node {Node} is {State}", node.View.Name, forGood ? "gone" : "unreachable");
            Publish();
        }

        Answered(address);
    }

    /// <summary>Alone it is no loss: connections are also replaced. It counts when a probe asks who is there.</summary>
    private void OnCutOff(Address address)
    {
        if (_members.Contains(address) && _cutOff.Add(address))
        {
            EndProbes();
        }
    }

    private void DescribeAll()
    {
        foreach (Address address in _members)
        {
            Describe(address);
        }
    }

    private void Describe(Address address) =>
        Context.ActorSelection(new RootActorPath(address) / "user" / "node").Tell(new NodeCommands.DescribeNode(_tenant, Renews: _issuer is not null), Self);

    private void OnDescribed(NodeEvents.NodeDescribed described)
    {
        Address address = Sender.Path.Address;
        if (described.Tenant != _tenant || !_members.Contains(address))
        {
            return;
        }

        _cutOff.Remove(address);
        Timers.Cancel($"doubt-{address}");
        NodeView view = NodeView.Of(described);
        bool known = _nodes.TryGetValue(address, out (NodeView View, IActorRef Actor) old) && old.View.IsSameToPlans(view);
        foreach (Address other in _nodes.Where(node => node.Value.View.Name == view.Name && node.Key != address).Select(node => node.Key).ToArray())
        {
            // A node that was restarted at another address before the cluster noticed.
            _nodes.Remove(other);
        }

        _nodes[address] = (view, Sender);
        if (!known)
        {
            _logger.LogInformation("node {Node} is {State}: {Cores} cores, {Memory} bytes, process {Process}", view.Name, view.Leaving ? "leaving" : "up", view.Cores, view.MemoryBytes, view.ProcessId);
            Publish();
        }
        else
        {
            _board.SetNodes(Views());
        }

        Answered(address);
    }

    /// <summary>The transport has held the name against the asker's certificate.</summary>
    private void OnRenewal(NodeEvents.RenewalRequested asked)
    {
        if (_issuer is null || asked.Tenant != _tenant)
        {
            return;
        }

        if (_suspended.Contains(asked.Node.Value))
        {
            _logger.LogWarning("the certificate of node {Node} was not renewed: the node is suspended", asked.Node);
            return;
        }

        try
        {
            Sender.Tell(new NodeCommands.RenewCertificate(_tenant, _issuer.Renew(asked.Node, asked.CertificatePem, asked.RequestPem)));
            _logger.LogInformation("renewed the certificate of node {Node}", asked.Node);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            _logger.LogWarning("the certificate of node {Node} was not renewed: {Problem}", asked.Node, e.Message);
        }
    }

    private void OnSubscribe(Subscribe subscribe)
    {
        _deployments[subscribe.Deployment] = Sender;
        Sender.Tell(new NodeTable(Views()));
    }

    private void OnSuspended(SetSuspended suspended)
    {
        if (!_suspended.SetEquals(suspended.Nodes))
        {
            _suspended = suspended.Nodes;
            _logger.LogWarning("suspended nodes: {Nodes}", _suspended.Count == 0 ? "none" : string.Join(' ', _suspended));
            Publish();
        }
    }

    private void OnSend(SendToNode send)
    {
        IActorRef? actor = _nodes.Values.FirstOrDefault(node => node.View.Name == send.Node).Actor;
        actor?.Tell(send.Command, Self);
    }

    private void OnProbe()
    {
        // Those that are lost already are not waited for: they come back by themselves once they describe themselves again.
        var probe = new Probe(++_probeNumber, Sender, [.. _nodes.Keys]);
        _probes.Add(probe);
        DescribeAll();
        Timers.StartSingleTimer($"probe-{probe.Number}", new ProbeEnded(probe.Number), s_probeDeadline);
        EndProbes();
    }

    private void Answered(Address address)
    {
        foreach (Probe probe in _probes)
        {
            probe.Unanswered.Remove(address);
        }

        EndProbes();
    }

    /// <summary>Ends the probes that wait for nobody but those who are cut off.</summary>
    private void EndProbes()
    {
        foreach (Probe probe in _probes.Where(probe => probe.Unanswered.IsSubsetOf(_cutOff)).ToArray())
        {
            EndProbe(probe.Number);
        }
    }

    private void EndProbe(int number)
    {
        if (_probes.Find(probe => probe.Number == number) is not { } probe)
        {
            return;
        }

        _probes.Remove(probe);
        Timers.Cancel($"probe-{number}");
        bool lost = false;
        foreach (Address silent in probe.Unanswered)
        {
            lost |= _nodes.Remove(silent);
        }

        if (lost)
        {
            Publish();
        }

        probe.Asker.Tell(new NodesProbed(Views()));
    }

    private void Forward(IWireMessage message, StageAddress address, NodeName node)
    {
        bool genuine = message.Tenant == _tenant && _nodes.TryGetValue(Sender.Path.Address, out (NodeView View, IActorRef Actor) known) && known.View.Name == node && !_suspended.Contains(node.Value);
        if (genuine && _deployments.TryGetValue(address.Deployment, out IActorRef? deployment))
        {
            deployment.Tell(message);
        }
    }

    private void Publish()
    {
        IReadOnlyList<NodeView> views = Views();
        _board.SetNodes(views);
        foreach (IActorRef deployment in _deployments.Values)
        {
            deployment.Tell(new NodeTable(views));
        }
    }

    private IReadOnlyList<NodeView> Views() => [.. _nodes.Values.Select(node => node.View).Where(view => !_suspended.Contains(view.Name.Value)).OrderBy(view => view.Name.Value, StringComparer.Ordinal)];
}
