using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Serialization;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Serialization;

/// <summary>The one serializer of the product's own messages: MessagePack, a number for a manifest, a closed list of types.</summary>
public sealed class ContractSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    internal const int Id = 200;

    public override int Identifier => Id;

    public override string Manifest(object o) =>
        WireManifests.ByType.TryGetValue(o.GetType(), out WireManifests.Entry? entry) ? entry.Manifest : throw new SerializationException($"{o.GetType().Name} is no wire message");

    public override byte[] ToBinary(object obj) =>
        WireManifests.ByType.TryGetValue(obj.GetType(), out WireManifests.Entry? entry) ? entry.Encode((IWireMessage)obj) : throw new SerializationException($"{obj.GetType().Name} is no wire message");

    public override object FromBinary(byte[] bytes, string manifest)
    {
        if (!WireManifests.ByManifest.TryGetValue(manifest, out WireManifests.Entry? entry))
        {
            throw Refused.Count("manifest", $"manifest '{Links.LinkText.Clean(manifest)}' is unknown");
        }

        try
        {
            return entry.Decode(bytes);
        }
        catch (InvalidDataException e)
        {
            throw Refused.Count("contract", e.Message);
        }
    }
}
