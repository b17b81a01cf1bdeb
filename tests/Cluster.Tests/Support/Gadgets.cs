using System.Runtime.Serialization;
using Akka.Actor;

namespace Lamina.Cluster.Tests.Support;

/// <summary>Types whose construction by a deserialiser is the proof that a peer can run code. Tests that send them never run their constructors.</summary>
public static class Canary
{
    private static int s_sung;

    public static int Sung => s_sung;

    public static void Sing() => Interlocked.Increment(ref s_sung);
}

/// <summary>What Newtonsoft and the protobuf serializer would build.</summary>
public sealed class PlainGadget
{
    private string _command = "";

    public PlainGadget() => Canary.Sing();

    public string Command
    {
        get => _command;
        set
        {
            Canary.Sing();
            _command = value;
        }
    }
}

/// <summary>What <c>Status.Failure</c> and failed system messages would build.</summary>
[Serializable]
public sealed class ExceptionGadget : Exception
{
#pragma warning disable SYSLIB0051 // The constructor that deserialisers look for.
    private ExceptionGadget(SerializationInfo info, StreamingContext context)
        : base(info, context) => Canary.Sing();
#pragma warning restore SYSLIB0051
}

/// <summary>What remote deployment would start.</summary>
public sealed class ActorGadget : ReceiveActor
{
    public ActorGadget() => Canary.Sing();
}
