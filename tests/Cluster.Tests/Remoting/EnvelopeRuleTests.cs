using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Tests.Remoting;

/// <summary>Units of Akka.Remote encoded by hand, as its WireFormats.proto and ContainerFormats.proto lay them out. Serializer ids are those of Akka's reference configuration.</summary>
public sealed class EnvelopeRuleTests
{
    private static readonly Endpoint s_self = new("10.0.0.1", 4000);

    /// <summary>Shards live on coordinators alone: a node that registered a region, handed one over or wrote replicated data would be taken for one.</summary>
    [Trait("Attack", "I4")]
    [Theory]
    [InlineData(9, "distributed publish and subscribe")]
    [InlineData(10, "cluster client")]
    [InlineData(11, "replicated data")]
    [InlineData(12, "replicator messages")]
    [InlineData(13, "sharding")]
    [InlineData(14, "singleton")]
    [InlineData(4, "bytes")]
    [InlineData(17, "primitives")]
    [InlineData(6, "a selection in a selection")]
    public void Machinery_OfCoordinators_IsNotTakenFromANode(int serializer, string what)
    {
        Assert.False(Allows(PeerRole.Node, Unit(Payload(serializer, "x", [])), what));
        Assert.False(Allows(PeerRole.Node, Unit(Payload(6, "", Bytes(1, Payload(serializer, "x", [])))), what));
        Assert.True(Allows(PeerRole.Coordinator, Unit(Payload(serializer, "x", [])), what));
    }

    [Theory]
    [InlineData(16, "identification")]
    [InlineData(22, "watching")]
    public void Machinery_OfRemoting_IsTakenFromANode(int serializer, string what) => Assert.True(Allows(PeerRole.Node, Unit(Payload(serializer, "x", [])), what));

    /// <summary>AckAndEnvelopeContainer { ack = 1 } alone acknowledges system messages.</summary>
    [Fact]
    public void Acknowledgement_WithoutAMessage_IsTakenFromANode() => Assert.True(Allows(PeerRole.Node, Bytes(1, Bytes(1, [0x08, 1])), "an acknowledgement"));

    private static bool Allows(PeerRole role, byte[] unit, string what)
    {
        Assert.NotEmpty(what);
        return EnvelopeRule.Allows(new PeerIdentity("test.lamina", new TenantId("acme"), role, "a"), s_self, _ => null, unit);
    }

    /// <summary>AkkaProtocolMessage { payload = 1 { AckAndEnvelopeContainer { envelope = 2 { RemoteEnvelope { message = 2 } } } } }.</summary>
    private static byte[] Unit(byte[] payload) => Bytes(1, Bytes(2, Bytes(2, payload)));

    /// <summary>Payload { message = 1, serializerId = 2, messageManifest = 3 }.</summary>
    private static byte[] Payload(int serializer, string manifest, byte[] message) => [.. Bytes(1, message), 0x10, (byte)serializer, .. Bytes(3, Encoding.UTF8.GetBytes(manifest))];

    private static byte[] Bytes(int field, byte[] bytes) => [(byte)((field << 3) | 2), (byte)bytes.Length, .. bytes];
}
