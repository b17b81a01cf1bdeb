using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using CsCheck;

namespace Lamina.Cluster.Tests.Remoting;

/// <summary>Membership messages encoded by hand, as Akka.Cluster's ClusterMessages.proto lays them out.</summary>
public sealed class MembershipRuleTests
{
    private const string Prefix = "Akka.Cluster.InternalClusterAction+";
    private static readonly Endpoint s_self = new("10.0.0.1", 4000);
    private static readonly Endpoint s_node = new("10.0.0.2", 4000);
    private static readonly Endpoint s_front = new("10.0.0.3", 4000);
    private static readonly Endpoint s_unknown = new("10.0.0.4", 4000);

    [Trait("Attack", "I4")]
    [Fact]
    public void Join_AsAnotherOrInAnotherRole_IsRefused()
    {
        Assert.True(Allows($"{Prefix}Join, Akka.Cluster", [.. Address(1, s_self), .. Text(2, "node"), .. Text(3, "1.0")]));
        Assert.False(Allows($"{Prefix}Join, Akka.Cluster", [.. Address(1, s_self), .. Text(2, "node"), .. Text(2, "coordinator")]));
        Assert.False(Allows($"{Prefix}Join, Akka.Cluster", [.. Address(1, s_self), .. Text(2, "coordinator")]));
        Assert.False(Allows($"{Prefix}Join, Akka.Cluster", [.. Address(1, s_front), .. Text(2, "node")]));
        Assert.False(Allows($"{Prefix}Join, Akka.Cluster", []));
    }

    [Trait("Attack", "I4")]
    [Theory]
    [InlineData("Akka.Cluster.InternalClusterAction+Welcome, Akka.Cluster", false)]
    [InlineData("Akka.Cluster.ClusterUserAction+Down, Akka.Cluster", false)]
    [InlineData("Akka.Cluster.ClusterUserAction+Leave, Akka.Cluster", false)]
    [InlineData("Akka.Cluster.InternalClusterAction+InitJoin, Akka.Cluster", true)]
    [InlineData("Akka.Cluster.InternalClusterAction+ExitingConfirmed, Akka.Cluster", true)]
    [InlineData("Akka.Cluster.ClusterHeartbeatSender+Heartbeat, Akka.Cluster", true)]
    public void Message_ThatRemovesOrWelcomes_IsNoNodes(string manifest, bool allowed) => Assert.Equal(allowed, Allows(manifest, []));

    [Trait("Attack", "I4")]
    [Theory]
    [InlineData(0, "node", true)]
    [InlineData(0, "coordinator", false)]
    [InlineData(1, "coordinator", false)]
    [InlineData(2, "coordinator", true)]
    [InlineData(3, "coordinator", true)]
    [InlineData(1, "node", true)]
    public void Gossip_ThatGivesAProvenNodeAnotherRole_IsRefused(int member, string role, bool allowed)
    {
        foreach (bool packed in new[] { true, false })
        {
            byte[] roles = packed ? Bytes(4, [1]) : [0x20, 1];
            byte[] gossip =
            [
                .. Address(1, s_self), .. Address(1, s_node), .. Address(1, s_front), .. Address(1, s_unknown),
                .. Text(2, "x"), .. Text(2, role), .. Bytes(4, [0x08, (byte)member, 0x10, 5, 0x18, 1, .. roles]),
            ];
            Assert.Equal(allowed, Allows("Akka.Cluster.GossipEnvelope, Akka.Cluster", [.. Address(1, s_self), .. Address(2, s_front), .. Bytes(3, gossip)]));
            Assert.False(Allows("Akka.Cluster.GossipEnvelope, Akka.Cluster", [.. Address(1, s_front), .. Address(2, s_self), .. Bytes(3, gossip)]));
        }
    }

    [Trait("Attack", "B1")]
    [Fact]
    public void Bytes_OfAnyKind_AreJudgedWithoutThrowing() =>
        Gen.Byte.Array[0, 200].Sample(bytes =>
        {
            _ = Allows($"{Prefix}Join, Akka.Cluster", bytes);
            _ = Allows("Akka.Cluster.GossipEnvelope, Akka.Cluster", [.. Address(1, s_self), .. Bytes(3, bytes)]);
        }, iter: 20_000);

    private static bool Allows(string manifest, byte[] message) => MembershipRule.Allows(
        manifest, message, s_self, address => address == s_node ? PeerRole.Node : address == s_front ? PeerRole.Coordinator : null);

    /// <summary>UniqueAddress { AddressData { system, hostname, port, protocol }, uid }.</summary>
    private static byte[] Address(int field, Endpoint at) =>
        Bytes(field, [.. Bytes(1, [.. Text(1, "cell-acme"), .. Text(2, at.Host), 0x18, .. Varint(at.Port), .. Text(4, "akka.mtls")]), 0x10, 7]);

    private static byte[] Text(int field, string text) => Bytes(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Bytes(int field, byte[] bytes) => [(byte)((field << 3) | 2), .. Varint(bytes.Length), .. bytes];

    private static byte[] Varint(int value) => value < 0x80 ? [(byte)value] : [(byte)(value | 0x80), .. Varint(value >> 7)];
}
