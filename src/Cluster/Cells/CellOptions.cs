using Akka.Event;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Cells;

/// <summary>Receives what Akka logs. Messages between actors are never part of it.</summary>
public delegate void CellLog(LogLevel level, string source, string message, Exception? cause);

/// <summary>How a process joins its cell. Tenant, role and name come from its certificate.</summary>
public sealed record CellOptions
{
    public required CertificateProvider Certificates { get; init; }

    /// <summary>Addresses, ports and limits of the control connections.</summary>
    public MtlsOptions Transport { get; init; } = new();

    /// <summary>Control endpoints of the cell's coordinators, in the same order everywhere; empty = this process (a coordinator) forms the cell itself.</summary>
    public IReadOnlyList<Endpoint> Seeds { get; init; } = [];

    /// <summary>Actors that other processes select by path, such as <c>/user/node</c>. All others are out of reach for selections from outside.</summary>
    public IReadOnlyList<string> EntryActors { get; init; } = [];

    /// <summary>Type names of the sharded entities that coordinators host.</summary>
    public IReadOnlyList<string> ShardTypes { get; init; } = [];

    /// <summary>Gives up when the seeds cannot be joined for that long; null = keeps trying.</summary>
    public TimeSpan? JoinDeadline { get; init; }

    public CellLog? Log { get; init; }

    public LogLevel LogLevel { get; init; } = LogLevel.InfoLevel;
}
