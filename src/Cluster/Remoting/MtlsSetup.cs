using Akka.Actor.Setup;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>What the transport needs and configuration text cannot carry.</summary>
internal sealed class MtlsSetup(CertificateProvider certificates, MtlsOptions options) : Setup
{
    public CertificateProvider Certificates => certificates;

    public MtlsOptions Options => options;

    private int _expectedStrangers = 1;

    /// <summary>True for the first stranger refused: that was the process' own test of its port, and no news.</summary>
    public bool TakeExpectedStranger() => Interlocked.Exchange(ref _expectedStrangers, 0) == 1;
}

/// <summary>Limits and deadlines of the connections below Akka.Remote.</summary>
public sealed record MtlsOptions
{
    public string BindAddress { get; init; } = "127.0.0.1";

    /// <summary>0 picks a free port.</summary>
    public int Port { get; init; }

    /// <summary>Host in this process' Akka address; the bind address when null. Its certificate must name it.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Largest message that Akka may send; control messages are at most 64 KB, gossip of a large cell is more.</summary>
    public int MaxMessageBytes { get; init; } = 256 * 1024;

    /// <summary>Bytes that may wait to be written to one peer; then Akka is told to wait.</summary>
    public int MaxPendingBytes { get; init; } = 2 << 20;

    /// <summary>TCP, TLS, opening and its answer together.</summary>
    public TimeSpan HandshakeDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A peer that lets a write wait for that long is cut.</summary>
    public TimeSpan SendDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Older connections are replaced, so that both sides prove their identity again.</summary>
    public TimeSpan MaxAge { get; init; } = TimeSpan.FromHours(12);

    public int MaxUnauthenticated { get; init; } = 64;

    public int MaxUnauthenticatedPerAddress { get; init; } = 32;

    /// <summary>Connections of one peer that may be open here. Akka has one, and another for a moment when it dials again.</summary>
    public int MaxPerPeer { get; init; } = 16;

    internal Endpoint Advertised(int port) => new(PublicHost ?? BindAddress, port);
}
