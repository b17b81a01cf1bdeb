using System.Runtime.CompilerServices;
using System.Runtime.Serialization;
using System.Text;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using Lamina.Cluster.Tests.Support;

namespace Lamina.Cluster.Tests.Serialization;

/// <summary>An authenticated member that sends what Akka's default serializers turn into code. Its own system is Akka as it comes, on our transport.</summary>
public sealed class GadgetTests : IAsyncLifetime
{
    private readonly CellMembers _cell = new();
    private CellSystem _victim = null!;
    private ActorSystem _hostile = null!;
    private ActorSelection _entry = null!;
    private EntryActor.Inbox _inbox = null!;

    public async ValueTask InitializeAsync()
    {
        _victim = await _cell.FrontAsync();
        _inbox = new EntryActor.Inbox();
        _victim.System.ActorOf(Props.Create(() => new EntryActor(_inbox)), "entry");
        Config defaults = ConfigurationFactory.ParseString("""
            akka {
              loglevel = OFF
              stdout-loglevel = OFF
              actor {
                provider = remote
                serializers.contract = "Lamina.Cluster.Serialization.ContractSerializer, Lamina.Cluster"
                serialization-bindings { "Lamina.Cluster.Messages.IWireMessage, Lamina.Cluster" = contract }
              }
              remote {
                retry-gate-closed-for = 50ms
                enabled-transports = ["akka.remote.mtls"]
                mtls { transport-class = "Lamina.Cluster.Remoting.MtlsTransport, Lamina.Cluster", applied-adapters = [], transport-protocol = mtls }
              }
            }
            """);
        _hostile = ActorSystem.Create("cell-acme", ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(defaults), new MtlsSetup(_cell.Certificates.Node("hostile"), new MtlsOptions())));
        _entry = _hostile.ActorSelection($"akka.mtls://cell-acme@{_victim.ControlEndpoint}/user/entry");
    }

    public async ValueTask DisposeAsync()
    {
        ((ExtendedActorSystem)_hostile).Abort();
        await _hostile.WhenTerminated.WaitAsync(CellMembers.Patience);
        await _cell.DisposeAsync();
    }

    [Trait("Attack", "B3")]
    [Fact]
    public async Task Wire_GadgetsOfEveryKind_BuildNothingAndLeaveTheMemberServing()
    {
        int before = Canary.Sung;
        ExtendedActorSystem hostile = (ExtendedActorSystem)_hostile;
        PlainGadget plain = (PlainGadget)RuntimeHelpers.GetUninitializedObject(typeof(PlainGadget));
        ExceptionGadget exception = (ExceptionGadget)RuntimeHelpers.GetUninitializedObject(typeof(ExceptionGadget));
        Address victim = new("akka.mtls", "cell-acme", _victim.ControlEndpoint.Host, _victim.ControlEndpoint.Port);

        _entry.Tell(plain);
        await StillServesAsync();
        _entry.Tell(new Status.Failure(exception));
        await StillServesAsync();
        _entry.Tell(ConfigurationFactory.ParseString("a = 1"));
        _entry.Tell(new Akka.Routing.RoundRobinPool(3));
        await StillServesAsync();
        _entry.Tell(PoisonPill.Instance);
        _entry.Tell(Kill.Instance);
        await StillServesAsync();
        hostile.ActorOf(Props.Create<ActorGadget>().WithDeploy(Deploy.None.WithScope(new RemoteScope(victim))), "gadget");
        await Eventually.TrueAsync(() => _cell.Log.Any(line => line.Contains("daemon-create is not accepted", StringComparison.Ordinal)));

        Assert.Equal(before, Canary.Sung);
        Assert.All(_inbox.Received, message => Assert.IsAssignableFrom<IWireMessage>(message));
        Assert.False(_victim.Stopped.IsCompleted);
    }

    [Fact]
    public async Task Wire_SelectionOfAnActorThatIsNoEntry_IsNotDelivered()
    {
        EntryActor.Inbox secret = new();
        _victim.System.ActorOf(Props.Create(() => new EntryActor(secret)), "secret");

        _hostile.ActorSelection($"akka.mtls://cell-acme@{_victim.ControlEndpoint}/user/secret").Tell(new Identify(1));
        await StillServesAsync();

        Assert.Empty(secret.Received);
    }

    [Trait("Attack", "I4")]
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wire_NodeSendsACommand_IsCutAndTheCommandNotDelivered(bool toARef)
    {
        NodeCommands.UnloadStage command = new(new TenantId("acme"), default);
        if (toARef)
        {
            ((ExtendedActorSystem)_hostile).Provider.ResolveActorRef($"akka.mtls://cell-acme@{_victim.ControlEndpoint}/user/entry").Tell(command);
        }
        else
        {
            _entry.Tell(command);
        }

        await Eventually.TrueAsync(() => _cell.Log.Any(line => line.Contains("hostile sent what a node may not send", StringComparison.Ordinal)));
        await StillServesAsync();
        Assert.All(_inbox.Received, message => Assert.IsType<NodeEvents.StageReady>(message));
    }

    /// <summary>A node's own word for who it is does not count: its certificate names it, and its tenant.</summary>
    [Trait("Attack", "I4")]
    [Theory]
    [InlineData("acme", "other-node")]
    [InlineData("globex", "hostile")]
    public async Task Wire_NodeSpeaksForAnother_IsCutAndNothingDelivered(string tenant, string node)
    {
        _entry.Tell(new NodeEvents.StageReady(new TenantId(tenant), default, new NodeName(node)));
        await Eventually.TrueAsync(() => _cell.Log.Any(line => line.Contains("hostile sent what a node may not send", StringComparison.Ordinal)));
        await StillServesAsync();
        Assert.All(_inbox.Received, message => Assert.Equal(("acme", "hostile"), (((INodeEvent)message).Tenant.Value, ((INodeEvent)message).Node.Value)));
    }

    /// <summary>Akka believes whatever role a joining process gives itself; the cell believes its certificate.</summary>
    [Trait("Attack", "I4")]
    [Fact]
    public async Task Wire_NodeJoinsAsACoordinator_BecomesNoMember()
    {
        Config impostor = ConfigurationFactory.ParseString("""akka { actor.provider = cluster, cluster.roles = [coordinator] }""").WithFallback(_hostile.Settings.Config);
        ActorSystem joining = ActorSystem.Create("cell-acme", ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(impostor), new MtlsSetup(_cell.Certificates.Node("joining"), new MtlsOptions())));
        try
        {
            Akka.Cluster.Cluster cluster = Akka.Cluster.Cluster.Get(joining);
            cluster.JoinSeedNodes([new Address("akka.mtls", "cell-acme", _victim.ControlEndpoint.Host, _victim.ControlEndpoint.Port)]);
            await Eventually.TrueAsync(() => _cell.Log.Any(line => line.Contains("joining sent what a node may not send", StringComparison.Ordinal)), 30);
            Assert.Equal(1, CellMembers.UpCount(_victim));
            Assert.Empty(cluster.State.Members);
        }
        finally
        {
            ((ExtendedActorSystem)joining).Abort();
            await joining.WhenTerminated.WaitAsync(CellMembers.Patience);
        }
    }

    [Fact]
    public async Task Wire_CoordinatorSendsACommand_IsDelivered()
    {
        CellSystem second = await _cell.FrontAsync("front-2", _victim.ControlEndpoint);

        await Eventually.TrueAsync(async () =>
        {
            second.System.ActorSelection($"akka.mtls://cell-acme@{_victim.ControlEndpoint}/user/entry").Tell(new NodeCommands.DescribeNode(new TenantId("acme")));
            await Task.Delay(20);
            return _inbox.Received.OfType<NodeCommands.DescribeNode>().Any();
        });
    }

    public static TheoryData<int, string, byte[]> InboundPayloads()
    {
        string gadget = typeof(PlainGadget).AssemblyQualifiedName!, exception = typeof(ExceptionGadget).AssemblyQualifiedName!;
        byte[] json = Encoding.UTF8.GetBytes($$"""{"$type":"{{gadget}}","Command":"id"}""");
        return new()
        {
            { 1, "", json },
            { 1, gadget, json },
            { 2, gadget, [] },
            { 3, "Akka.Remote.DaemonMsgCreate, Akka.Remote", [0x0A, 0] },
            { 16, "STF", Encoding.UTF8.GetBytes(exception) },
            { 16, "CF", "a = 1"u8.ToArray() },
            { 16, "FC", [] },
            { 16, "PP", [] },
            { 16, "K", [] },
            { 16, "RORRP", [] },
            { 22, "Akka.Dispatch.SysMsg.Failed, Akka", [] },
            { 22, "Akka.Dispatch.SysMsg.Terminate, Akka", [] },
            { 22, "Akka.Dispatch.SysMsg.Watch, Akka", [] },
            { 22, gadget, [] },
            { 36, "a", [] },
            { 200, gadget, [] },
            { 200, "", [] },
        };
    }

    [Trait("Attack", "B3")]
    [Theory]
    [MemberData(nameof(InboundPayloads))]
    public void Deserialize_PayloadThatNamesAType_IsRefusedAndBuildsNothing(int serializer, string manifest, byte[] bytes)
    {
        int before = Canary.Sung;

        Assert.Throws<SerializationException>(() => _victim.System.Serialization.Deserialize(bytes, serializer, manifest));
        Assert.Equal(before, Canary.Sung);
    }

    [Trait("Attack", "B3")]
    [Fact]
    public void Deserialize_IdWithoutSerializer_IsRefused()
    {
        // 0 is Akka's null: no type, no content.
        int[] ours = [0, 1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 16, 17, 22, 36, 200];
        foreach (int id in Enumerable.Range(0, 256).Except(ours))
        {
            Assert.True(Record.Exception(() => _victim.System.Serialization.Deserialize([], id, typeof(PlainGadget).AssemblyQualifiedName!)) is SerializationException, $"id {id}");
        }
    }

    [Fact]
    public void Serialize_WhatIsNoContract_DoesNotLeave()
    {
        Akka.Serialization.Serialization serialization = _victim.System.Serialization;

        foreach (object foreign in new object[] { new PlainMessage("x"), new Status.Failure(new InvalidOperationException()), PoisonPill.Instance })
        {
            Assert.ThrowsAny<Exception>(() => serialization.FindSerializerFor(foreign).ToBinary(foreign));
        }

        Assert.Equal(200, serialization.FindSerializerFor(new NodeCommands.DescribeNode(new TenantId("t"))).Identifier);
    }

    /// <summary>The hostile system's own good message still arrives: nothing sent before has broken the member or, for good, the connection.</summary>
    private async Task StillServesAsync()
    {
        int before = _inbox.Received.Count;
        await Eventually.TrueAsync(async () =>
        {
            _entry.Tell(new NodeEvents.StageReady(new TenantId("acme"), default, new NodeName("hostile")));
            await Task.Delay(20);
            return _inbox.Received.Count > before;
        });
    }

    private sealed record PlainMessage(string Text);
}

/// <summary>Keeps what reaches an actor.</summary>
internal sealed class EntryActor : UntypedActor
{
    private readonly Inbox _inbox;

    public EntryActor(Inbox inbox) => _inbox = inbox;

    protected override void OnReceive(object message) => _inbox.Received.Enqueue(message);

    internal sealed class Inbox
    {
        public System.Collections.Concurrent.ConcurrentQueue<object> Received { get; } = [];
    }
}
