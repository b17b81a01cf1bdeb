using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Configuration;
using Akka.Remote.Serialization;
using Akka.Serialization;

namespace Lamina.Cluster.Serialization;

/// <summary>What Akka's built-in serializers would have done for a peer, counted and refused.</summary>
internal static class Refused
{
    public static SerializationException Count(string what, string why)
    {
        ClusterMetrics.WireRefused.Add(1, new KeyValuePair<string, object?>("what", what));
        return new SerializationException(why);
    }
}

/// <summary>
/// Stands in for a serializer whose inbound side builds types by name. Replacing it under its own name in the configuration also replaces its id in the table of
/// inbound serializers; removing a binding would not.
/// </summary>
public abstract class RefusingSerializer(ExtendedActorSystem system, int identifier, string name) : SerializerWithStringManifest(system)
{
    public override int Identifier => identifier;

    public override string Manifest(object o) => "";

    public override byte[] ToBinary(object obj) => throw new SerializationException($"{obj.GetType().Name} is no wire message: {name} is not used here");

    public override object FromBinary(byte[] bytes, string manifest) => throw Refused.Count(name, $"{name} is not accepted");
}

/// <summary>Newtonsoft JSON: a type name in the text becomes an object of that type.</summary>
public sealed class RefusingJson : RefusingSerializer
{
    public RefusingJson(ExtendedActorSystem system)
        : base(system, 1, "json")
    {
    }

    public RefusingJson(ExtendedActorSystem system, Config config)
        : this(system)
    {
    }
}

/// <summary>Protobuf by type name: runs any type's default constructor before it looks at what came out.</summary>
public sealed class RefusingProtobuf(ExtendedActorSystem system) : RefusingSerializer(system, 2, "proto");

/// <summary>Remote deployment: creates any actor class with any arguments.</summary>
public sealed class RefusingDaemonCreate(ExtendedActorSystem system) : RefusingSerializer(system, 3, "daemon-create");

/// <summary>Reliable delivery: resolves type names, and nothing here uses it.</summary>
public sealed class RefusingReliableDelivery(ExtendedActorSystem system) : RefusingSerializer(system, 36, "reliable-delivery");

/// <summary>
/// Akka's miscellaneous messages, those that remoting, clustering and sharding need: identification, references and the death watch's heartbeats. Not exceptions
/// (Status.Failure runs a constructor of any type), configuration, routers, poison pills.
/// </summary>
public sealed class FilteredMisc(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private static readonly HashSet<string> s_allowed = ["ID", "AID", "AR", "RWHB", "RWHR"];

    private readonly MiscMessageSerializer _inner = new(system);

    public override int Identifier => 16;

    public override string Manifest(object o) => _inner.Manifest(o);

    public override byte[] ToBinary(object obj) =>
        s_allowed.Contains(_inner.Manifest(obj)) ? _inner.ToBinary(obj) : throw new SerializationException($"{obj.GetType().Name} may not leave this process");

    public override object FromBinary(byte[] bytes, string manifest) =>
        s_allowed.Contains(manifest) ? _inner.FromBinary(bytes, manifest) : throw Refused.Count("akka-misc", $"akka-misc '{Links.LinkText.Clean(manifest)}' is not accepted");
}

/// <summary>
/// System messages between processes: watching, and the news of an end. The others either command foreign actors or carry an exception, which would be built by type name. The
/// original's manifest is the type's name, to be looked up; here it is a letter.
/// </summary>
public sealed class FilteredSystemMessages(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private static readonly (string Manifest, Type Type)[] s_allowed =
    [
        ("W", typeof(Akka.Dispatch.SysMsg.Watch)), ("U", typeof(Akka.Dispatch.SysMsg.Unwatch)), ("D", typeof(Akka.Dispatch.SysMsg.DeathWatchNotification)),
    ];

    private readonly SystemMessageSerializer _inner = new(system);

    public override int Identifier => 22;

    public override string Manifest(object o) => s_allowed.FirstOrDefault(a => a.Type == o.GetType()).Manifest ?? "";

    public override byte[] ToBinary(object obj) =>
        Manifest(obj).Length > 0 ? _inner.ToBinary(obj) : throw new SerializationException($"system message {obj.GetType().Name} may not leave this process");

    public override object FromBinary(byte[] bytes, string manifest)
    {
        foreach ((string allowed, Type type) in s_allowed)
        {
            if (allowed == manifest)
            {
                return _inner.FromBinary(bytes, type);
            }
        }

        throw Refused.Count("akka-system-msg", $"system message '{Links.LinkText.Clean(manifest)}' is not accepted");
    }
}
