namespace Lamina.Cluster.Links;

/// <summary>Limits and deadlines of links.</summary>
public sealed record LinkOptions
{
    public string BindAddress { get; init; } = "127.0.0.1";

    /// <summary>0 picks a free port.</summary>
    public int Port { get; init; }

    /// <summary>Host that others are told to dial; the bind address when null.</summary>
    public string? PublicHost { get; init; }

    public int MaxFrameBytes { get; init; } = 64 << 20;

    /// <summary>Data frames a sender may have unacknowledged.</summary>
    public int Credits { get; init; } = 8;

    public TimeSpan HandshakeDeadline { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan PingInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A peer that sends nothing for that long is taken for dead.</summary>
    public TimeSpan SilenceLimit { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>A peer that lets a write wait for that long is taken for dead, pings or not.</summary>
    public TimeSpan SendDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Connections that have not finished handshake and hello.</summary>
    public int MaxUnauthenticated { get; init; } = 64;

    /// <summary>The same, of one address.</summary>
    public int MaxUnauthenticatedPerAddress { get; init; } = 32;

    /// <summary>Links that one peer may have open here for one purpose. A stage takes one for its rows and one for its tokens, a fetch of blobs one for each source.</summary>
    public int MaxPerPeer { get; init; } = 64;

    /// <summary>Receives one sentence for each refused or broken connection; called on the connection's thread.</summary>
    public Action<string>? Log { get; init; }
}
