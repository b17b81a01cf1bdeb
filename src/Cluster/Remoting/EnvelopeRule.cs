using System.Globalization;
using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Serialization;

namespace Lamina.Cluster.Remoting;

/// <summary>
/// What a peer may send, by its certificate: only coordinators give commands and take part in sharding and replicated data, a node's events name that node, and what it says about the
/// cluster is held to <see cref="MembershipRule"/>. Senders and cluster roles are words of the peer itself; the certificate is not.
/// Containers are protobuf (Akka.Remote's WireFormats.proto and ContainerFormats.proto): AckAndEnvelopeContainer { envelope = 2 }, RemoteEnvelope { Payload message = 2 },
/// Payload { bytes message = 1; int32 serializerId = 2; bytes messageManifest = 3 }, SelectionEnvelope { Payload payload = 1 }.
/// </summary>
internal static class EnvelopeRule
{
    private const int ProtocolPayload = 1, Envelope = 2, EnvelopeMessage = 2, PayloadBytes = 1, PayloadSerializer = 2, PayloadManifest = 3, SelectionPayload = 1;

    /// <summary>Akka's container for messages to a path; the message inside is a payload again.</summary>
    private const int SelectionSerializer = 6;

    /// <summary>False when the unit carries, directly or to a selection, a message that <paramref name="peer"/> may not send, or cannot be read.</summary>
    /// <param name="origin">The address that the peer has proven to be its own.</param>
    /// <param name="roleAt">The role that a certificate has proven for an address; null when none has yet.</param>
    public static bool Allows(PeerIdentity peer, Endpoint origin, Func<Endpoint, PeerRole?> roleAt, ReadOnlySpan<byte> unit)
    {
        if (peer.Role == PeerRole.Coordinator)
        {
            return true;
        }

        if (!ProtobufFields.TryFind(unit, ProtocolPayload, out ReadOnlySpan<byte> container)
            || !ProtobufFields.TryFind(container, Envelope, out ReadOnlySpan<byte> envelope))
        {
            return false;
        }

        if (envelope.IsEmpty)
        {
            // An acknowledgement, or a unit of the protocol itself.
            return true;
        }

        if (!ProtobufFields.TryFind(envelope, EnvelopeMessage, out ReadOnlySpan<byte> payload)
            || !TryReadPayload(payload, out ulong serializer, out ReadOnlySpan<byte> manifest, out ReadOnlySpan<byte> message))
        {
            return false;
        }

        if (serializer == SelectionSerializer
            && !(ProtobufFields.TryFind(message, SelectionPayload, out ReadOnlySpan<byte> selected) && TryReadPayload(selected, out serializer, out manifest, out message)))
        {
            return false;
        }

        // A selection within a selection is nothing that Akka makes.
        return serializer switch
        {
            SelectionSerializer => false,
            ContractSerializer.Id => IsOwnEvent(peer, Encoding.UTF8.GetString(manifest), message),
            MembershipRule.Serializer => MembershipRule.Allows(Encoding.UTF8.GetString(manifest), message, origin, roleAt),
            _ => IsMachinery(serializer),
        };
    }

    /// <summary>
    /// What a node's side of remoting sends besides, by serializer: identification and the death watch's heartbeats (16), watching (22), and those that only refuse and count what they
    /// are sent (1, 2, 3, 36). Shards, singletons and replicated data (11 to 14) are the coordinators' own: a node has no region and no replicator.
    /// </summary>
    private static bool IsMachinery(ulong serializer) => serializer is 1 or 2 or 3 or 16 or 22 or 36;

    private static bool IsOwnEvent(PeerIdentity peer, string manifest, ReadOnlySpan<byte> message)
    {
        if (!int.TryParse(manifest, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number <= WireManifests.LastCommand)
        {
            return false;
        }

        try
        {
            return !WireManifests.ByManifest.TryGetValue(manifest, out WireManifests.Entry? entry)
                || (entry.Decode(message.ToArray()) is INodeEvent told && told.Node.Value == peer.Name && told.Tenant == peer.Tenant);
        }
        catch (InvalidDataException)
        {
            // The serializer refuses and counts it.
            return true;
        }
    }

    private static bool TryReadPayload(ReadOnlySpan<byte> payload, out ulong serializer, out ReadOnlySpan<byte> manifest, out ReadOnlySpan<byte> message)
    {
        manifest = message = default;
        return ProtobufFields.TryFindNumber(payload, PayloadSerializer, out serializer)
            && ProtobufFields.TryFind(payload, PayloadManifest, out manifest)
            && ProtobufFields.TryFind(payload, PayloadBytes, out message);
    }
}
