using Lamina.Cluster.Messages;
using MessagePack;

namespace Lamina.Cluster.Remoting;

/// <summary>Why a connection was opened. Numbers are frozen: they go over the wire.</summary>
public enum OpeningPurpose
{
    /// <summary>Akka's association.</summary>
    Associate = 1,

    /// <summary>Only to see whose certificate the address shows; nothing follows.</summary>
    Probe = 2,
}

/// <summary>
/// First frame after TLS, from the dialler. Akka's own ASSOCIATE only claims an origin; here the claim is tied to the certificate: the name must be the certificate's, the
/// origin's host must stand in it, and the acceptor dials the origin back and must find the same identity there.
/// </summary>
/// <param name="System">Name of the dialler's actor system.</param>
/// <param name="Origin">The dialler's own address; every ASSOCIATE on this connection must carry it.</param>
/// <param name="Target">The address that it means to have reached.</param>
[MessagePackObject]
public sealed record Opening(
    [property: Key(0)] int Version,
    [property: Key(1)] OpeningPurpose Purpose,
    [property: Key(2)] TenantId Tenant,
    [property: Key(3)] string Name,
    [property: Key(4)] string System,
    [property: Key(5)] Endpoint Origin,
    [property: Key(6)] Endpoint Target)
{
    public const int CurrentVersion = 1;

    internal const int MaxBytes = 1024;
}

/// <param name="Refusal">One clause, empty when accepted.</param>
/// <param name="Self">The acceptor's own address.</param>
[MessagePackObject]
public sealed record OpeningAnswer([property: Key(0)] int Version, [property: Key(1)] string Refusal, [property: Key(2)] Endpoint Self);
