using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>
/// What a node may say about who is in the cell. Akka believes whatever role a member gives itself, and shards live where the role is <c>coordinator</c>; here a role counts
/// only if the certificate at that address does not say otherwise. A node joins as itself and as a node, removes nobody, and welcomes nobody. Messages are protobuf (Akka.Cluster's
/// ClusterMessages.proto): Join { UniqueAddress node = 1; string roles = 2 }, GossipEnvelope { UniqueAddress from = 1; bytes serializedGossip = 3 },
/// Gossip { UniqueAddress allAddresses = 1; string allRoles = 2; Member members = 4 }, Member { int32 addressIndex = 1; int32 rolesIndexes = 4 },
/// UniqueAddress { AddressData address = 1 }, AddressData { string hostname = 2; uint32 port = 3 }.
/// </summary>
internal static class MembershipRule
{
    public const int Serializer = 5;

    private static readonly string s_node = PeerIdentity.RoleName(PeerRole.Node);

    public static bool Allows(string manifest, ReadOnlySpan<byte> message, Endpoint origin, Func<Endpoint, PeerRole?> roleAt)
    {
        string type = manifest.Split(',')[0];
        return type[(type.LastIndexOfAny(['.', '+']) + 1)..] switch
        {
            "Join" => AllowsJoin(message, origin),
            "GossipEnvelope" => AllowsGossip(message, origin, roleAt),
            "Welcome" or "Leave" or "Down" or "PrepareForShutdown" => false,
            _ => true,
        };
    }

    private static bool AllowsJoin(ReadOnlySpan<byte> join, Endpoint origin)
    {
        if (!ProtobufFields.TryFind(join, 1, out ReadOnlySpan<byte> node) || !TryReadAddress(node, out Endpoint address) || address != origin)
        {
            return false;
        }

        while (!join.IsEmpty)
        {
            if (!ProtobufFields.TryNext(ref join, out int field, out _, out ReadOnlySpan<byte> bytes, out _) || (field == 2 && Encoding.UTF8.GetString(bytes) != s_node))
            {
                return false;
            }
        }

        return true;
    }

    private static bool AllowsGossip(ReadOnlySpan<byte> envelope, Endpoint origin, Func<Endpoint, PeerRole?> roleAt)
    {
        if (!ProtobufFields.TryFind(envelope, 1, out ReadOnlySpan<byte> from) || !TryReadAddress(from, out Endpoint sender) || sender != origin
            || !ProtobufFields.TryFind(envelope, 3, out ReadOnlySpan<byte> gossip))
        {
            return false;
        }

        var addresses = new List<Endpoint>();
        var roles = new List<string>();
        for (ReadOnlySpan<byte> rest = gossip; !rest.IsEmpty;)
        {
            if (!ProtobufFields.TryNext(ref rest, out int field, out _, out ReadOnlySpan<byte> bytes, out _))
            {
                return false;
            }

            if (field == 1)
            {
                if (!TryReadAddress(bytes, out Endpoint address))
                {
                    return false;
                }

                addresses.Add(address);
            }
            else if (field == 2)
            {
                roles.Add(Encoding.UTF8.GetString(bytes));
            }
        }

        for (ReadOnlySpan<byte> rest = gossip; !rest.IsEmpty;)
        {
            if (!ProtobufFields.TryNext(ref rest, out int field, out _, out ReadOnlySpan<byte> member, out _)
                || (field == 4 && !AllowsMember(member, addresses, roles, origin, roleAt)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Nobody whose certificate says node is anything else.</summary>
    private static bool AllowsMember(ReadOnlySpan<byte> member, List<Endpoint> addresses, List<string> roles, Endpoint origin, Func<Endpoint, PeerRole?> roleAt)
    {
        ulong index = 0;
        bool onlyNode = true;
        while (!member.IsEmpty)
        {
            if (!ProtobufFields.TryNext(ref member, out int field, out int wireType, out ReadOnlySpan<byte> packed, out ulong number))
            {
                return false;
            }

            if (field == 1)
            {
                index = number;
            }
            else if (field == 4 && wireType == 0)
            {
                onlyNode &= IsNode(number, roles);
            }
            else if (field == 4)
            {
                while (!packed.IsEmpty)
                {
                    if (!ProtobufFields.TryReadVarint(ref packed, out ulong role))
                    {
                        return false;
                    }

                    onlyNode &= IsNode(role, roles);
                }
            }
        }

        return index < (ulong)addresses.Count
            && (onlyNode || !(addresses[(int)index] == origin || roleAt(addresses[(int)index]) == PeerRole.Node));
    }

    private static bool IsNode(ulong role, List<string> roles) => role < (ulong)roles.Count && roles[(int)role] == s_node;

    private static bool TryReadAddress(ReadOnlySpan<byte> uniqueAddress, out Endpoint address)
    {
        address = default;
        if (!ProtobufFields.TryFind(uniqueAddress, 1, out ReadOnlySpan<byte> data) || !ProtobufFields.TryFind(data, 2, out ReadOnlySpan<byte> host)
            || !ProtobufFields.TryFindNumber(data, 3, out ulong port) || host.IsEmpty || port > ushort.MaxValue)
        {
            return false;
        }

        address = new Endpoint(Encoding.UTF8.GetString(host), (int)port);
        return true;
    }
}
