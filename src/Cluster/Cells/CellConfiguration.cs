using System.Globalization;
using Akka.Cluster.Sharding;
using Akka.Cluster.Tools.Singleton;
using Akka.Configuration;
using Akka.DistributedData;
using Akka.Event;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Cells;

/// <summary>The configuration of a cell's actor systems: one text, so that what deviates from Akka's defaults can be read in one place.</summary>
internal static class CellConfiguration
{
    /// <summary>Role of processes that host sharded entities; nodes have the role <c>node</c> and start no region.</summary>
    public const string ShardingRole = "coordinator";

    public static Config Build(CellOptions options)
    {
        PeerIdentity self = options.Certificates.Self;
        return ConfigurationFactory.ParseString($$"""
            akka {
              loglevel = {{LevelName(options.LogLevel)}}
              stdout-loglevel = OFF
              stdout-logger-class = "{{NameOf(typeof(SilentLogger))}}"
              loggers = ["{{NameOf(typeof(CellLogger))}}"]
              log-config-on-start = off
              log-dead-letters = off # would print messages
              log-dead-letters-during-shutdown = off

              # Nothing here is due to less than 100 ms; ticks of 10 ms, the default, wake an idle process a hundred times a second for each cell.
              scheduler.tick-duration = 40ms

              actor {
                provider = cluster
                serialization-settings.allow-unregistered-types = false
                serializers {
                  contract = "{{NameOf(typeof(Serialization.ContractSerializer))}}"
                  json = "{{NameOf(typeof(Serialization.RefusingJson))}}"
                  proto = "{{NameOf(typeof(Serialization.RefusingProtobuf))}}"
                  daemon-create = "{{NameOf(typeof(Serialization.RefusingDaemonCreate))}}"
                  reliable-delivery = "{{NameOf(typeof(Serialization.RefusingReliableDelivery))}}"
                  akka-misc = "{{NameOf(typeof(Serialization.FilteredMisc))}}"
                  akka-system-msg = "{{NameOf(typeof(Serialization.FilteredSystemMessages))}}"
                }
                serialization-bindings {
                  "{{NameOf(typeof(Messages.IWireMessage))}}" = contract
                }
                debug { unhandled = off, router-misconfiguration = off }
              }

              remote {
                enabled-transports = ["akka.remote.mtls"]
                mtls {
                  transport-class = "{{NameOf(typeof(MtlsTransport))}}"
                  applied-adapters = []
                  transport-protocol = mtls
                }
                untrusted-mode = on
                trusted-selection-paths = [{{string.Join(", ", TrustedPaths(options).Select(path => $"\"{path}\""))}}]
                log-received-messages = off
                log-sent-messages = off
                log-remote-lifecycle-events = off # every failed dial would be logged; membership tells what matters
                retry-gate-closed-for = 1s
                handshake-timeout = 6s
                transport-failure-detector { heartbeat-interval = 1s, acceptable-heartbeat-pause = 10s }
                watch-failure-detector { heartbeat-interval = 500ms, acceptable-heartbeat-pause = 3s, expected-response-after = 500ms }
              }

              cluster {
                roles = [{{PeerIdentity.RoleName(self.Role)}}]
                # One seed cannot be cut off from others; with several, the first asks them for longer before it forms a cell alone.
                seed-node-timeout = {{(options.Seeds.Count > 1 ? "5s" : "500ms")}}
                retry-unsuccessful-join-after = 1s
                shutdown-after-unsuccessful-join-seed-nodes = {{(options.JoinDeadline is { } deadline ? Milliseconds(deadline) : "off")}}
                periodic-tasks-initial-delay = 100ms
                gossip-interval = 200ms
                leader-actions-interval = 200ms
                unreachable-nodes-reaper-interval = 250ms
                run-coordinated-shutdown-when-down = on
                log-info-verbose = off
                failure-detector { heartbeat-interval = 500ms, acceptable-heartbeat-pause = 2s, expected-response-after = 500ms }
                downing-provider-class = "Akka.Cluster.SBR.SplitBrainResolverProvider, Akka.Cluster"
                split-brain-resolver {
                  # Nodes come and go; the side that keeps most coordinators is the cell (PartitionVerdict, in the shape of a lease).
                  active-strategy = lease-majority
                  lease-majority {
                    lease-implementation = "akka.coordination.partition"
                    acquire-lease-delay-for-minority = 0s
                    release-after = 1s
                    role = {{ShardingRole}}
                  }
                  stable-after = 4s
                  down-all-when-unstable = 15s
                }
                distributed-data { durable.keys = [], role = {{ShardingRole}}, gossip-interval = 500ms, notify-subscribers-interval = 200ms }
                sharding {
                  role = {{ShardingRole}}
                  state-store-mode = ddata
                  remember-entities = off
                  passivate-idle-entity-after = off
                  buffer-size = 1000
                  retry-interval = 500ms
                  coordinator-failure-backoff = 1s
                  distributed-data { durable.keys = [] }
                }
                singleton.hand-over-retry-interval = 250ms
              }

              coordination.partition.lease-class = "{{NameOf(typeof(PartitionLease))}}"

              coordinated-shutdown {
                exit-clr = off # the host decides
                run-by-clr-shutdown-hook = off
                default-phase-timeout = 3s
                phases {
                  cluster-sharding-shutdown-region.timeout = 3s
                  cluster-exiting.timeout = 3s
                  actor-system-terminate.timeout = 3s
                }
              }
            }
            """)
            .WithFallback(ClusterSharding.DefaultConfig())
            .WithFallback(DistributedData.DefaultConfig())
            .WithFallback(ClusterSingleton.DefaultConfig());
    }

    /// <summary>What peers may select by path: the machinery of membership and sharding, and the entry actors that the room names.</summary>
    private static IEnumerable<string> TrustedPaths(CellOptions options) =>
    [
        "/system/cluster/core/daemon", "/system/cluster/heartbeatReceiver", "/system/ddataReplicator", "/system/sharding/replicator", $"/system/sharding/{ShardingRole}Replicator",
        .. options.ShardTypes.SelectMany(type => new[] { $"/system/sharding/{type}", $"/system/sharding/{type}Coordinator", $"/system/sharding/{type}Coordinator/singleton/coordinator" }),
        .. options.EntryActors,
    ];

    private static string NameOf(Type type) => $"{type.FullName}, {type.Assembly.GetName().Name}";

    private static string Milliseconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalMilliseconds}ms");

    private static string LevelName(LogLevel level) => level switch
    {
        LogLevel.DebugLevel => "DEBUG",
        LogLevel.WarningLevel => "WARNING",
        LogLevel.ErrorLevel => "ERROR",
        _ => "INFO",
    };
}
