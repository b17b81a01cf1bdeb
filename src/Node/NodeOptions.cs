using Lamina.Cluster.Messages;

namespace Lamina.Node;

/// <summary>Configuration of a worker process, section <c>Node</c> of <c>lamina.json</c>.</summary>
public sealed record NodeOptions
{
    /// <summary>Tenant whose cell it joins, as in its certificate.</summary>
    public required TenantId Tenant { get; init; }

    /// <summary>The node's name in the cell, as in its certificate.</summary>
    public required NodeName Name { get; init; }

    /// <summary>PEM files: own certificate, its key, and the cell's trusted roots.</summary>
    public required string CertificatePath { get; init; }
    public required string KeyPath { get; init; }
    public required string TrustBundlePath { get; init; }

    /// <summary>Address the control port (Akka) binds to; never a wildcard unless <see cref="PublicHost"/> is set.</summary>
    public string BindAddress { get; init; } = "127.0.0.1";

    /// <summary>Host name by which the cell's other members reach this node; the bind address when null.</summary>
    public string? PublicHost { get; init; }

    /// <summary>Port of the control connections (Akka); 0 picks a free one.</summary>
    public int ControlPort { get; init; }

    /// <summary>Port of the data connections; 0 picks a free one.</summary>
    public int LinkPort { get; init; }

    /// <summary>Control endpoints of the cell's seed members (its coordinators).</summary>
    public required IReadOnlyList<Endpoint> Seeds { get; init; }

    /// <summary>Folder of pulled and verified tensors.</summary>
    public required string CachePath { get; init; }

    /// <summary>Compute threads of a stage; 0 = all cores.</summary>
    public int Threads { get; init; }

    /// <summary>Seconds that a node which is asked to end waits for its stages to be placed elsewhere; 0 = it does not wait.</summary>
    public int DrainSeconds { get; init; } = 25;

    /// <summary>What stages compute on: auto (the first GPU that can be used, else the processor), cpu or cuda:N.</summary>
    public string Device { get; init; } = "auto";

    /// <summary>Bytes that stages may use; 0 = 80 % of the machine's (or the control group's) memory, of a GPU 95 % of what is free.</summary>
    public long MemoryBytes { get; init; }
}
