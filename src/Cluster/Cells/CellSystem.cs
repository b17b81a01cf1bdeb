using Akka.Actor;
using Akka.Actor.Setup;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Cells;

/// <summary>A process' membership in one cell: its actor system, bound, tested and joined. Owns the system; not the certificates.</summary>
public sealed class CellSystem : IAsyncDisposable
{
    private static readonly TimeSpan s_shutdown = TimeSpan.FromSeconds(4);

    private CellSystem(ActorSystem system, Endpoint endpoint, PeerIdentity self)
    {
        System = system;
        ControlEndpoint = endpoint;
        Self = self;
        Stopped = system.WhenTerminated.ContinueWith(_ => DescribeStop(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    public ActorSystem System { get; }

    public PeerIdentity Self { get; }

    /// <summary>Control endpoint with the port really bound: what other processes are given as a seed.</summary>
    public Endpoint ControlEndpoint { get; }

    /// <summary>Completes when the system has stopped, with one clause why: downed by the cell, could not join, stopped.</summary>
    public Task<string> Stopped { get; }

    /// <summary>Binds, proves that the port refuses strangers, and starts to join. Throws <see cref="IOException"/> or <see cref="InvalidDataException"/> with one clear sentence.</summary>
    public static async Task<CellSystem> StartAsync(CellOptions options, CancellationToken cancellation)
    {
        PeerIdentity self = options.Certificates.Self;
        if (options.Seeds.Count == 0 && self.Role != PeerRole.Coordinator)
        {
            throw new InvalidDataException("a node needs the control endpoint of at least one coordinator to join");
        }

        string host = options.Transport.PublicHost ?? options.Transport.BindAddress;
        if (!options.Certificates.Current.Certificate.MatchesHostname(host, allowWildcards: false, allowCommonName: false))
        {
            throw new InvalidDataException($"the certificate of {self.Name} does not name '{host}', the host under which others are to reach it");
        }

        ActorSystemSetup setup = ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(CellConfiguration.Build(options)), new MtlsSetup(options.Certificates, options.Transport));
        if (options.Log is { } log)
        {
            setup = setup.And(new CellLogSetup(log));
        }

        ActorSystem system = Create($"cell-{self.Tenant}", setup, options.Transport);
        try
        {
            Address address = AkkaCluster.Get(system).SelfAddress;
            if (address.Protocol != $"akka.{MtlsTransport.Scheme}")
            {
                throw new InvalidDataException($"the control port speaks {address.Protocol}, not mutual TLS");
            }

            CellSystem cell = new(system, new Endpoint(address.Host, address.Port!.Value), self);
            await SelfTest.RequireRefusalAsync(options.Transport.BindAddress, cell.ControlEndpoint.Port, options.Certificates, cancellation).ConfigureAwait(false);
            if (ColdStart.MustWait(options.Seeds, cell.ControlEndpoint))
            {
                await cell.WaitForOthersAsync(options, cancellation).ConfigureAwait(false);
            }

            cell.Join(options.Seeds);
            return cell;
        }
        catch
        {
            await system.Terminate().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>True while this process is a full member of its cell, by the cell's present state.</summary>
    public bool IsUp => !Stopped.IsCompleted && AkkaCluster.Get(System) is { IsTerminated: false, SelfMember.Status: Akka.Cluster.MemberStatus.Up };

    /// <summary>Completes when this process is a full member of its cell.</summary>
    public async Task WaitUpAsync(CancellationToken cancellation)
    {
        TaskCompletionSource up = new(TaskCreationOptions.RunContinuationsAsynchronously);
        AkkaCluster.Get(System).RegisterOnMemberUp(() => up.TrySetResult());
        Task first = await Task.WhenAny(up.Task, Stopped).WaitAsync(cancellation).ConfigureAwait(false);
        if (first == Stopped)
        {
            throw new IOException($"{Self.Name} did not join its cell: {await Stopped.ConfigureAwait(false)}");
        }
    }

    /// <summary>Leaves the cell in an orderly way, within seconds, and stops the actor system.</summary>
    public async ValueTask DisposeAsync()
    {
        Task orderly = CoordinatedShutdown.Get(System).Run(CoordinatedShutdown.ActorSystemTerminateReason.Instance);
        await Task.WhenAny(orderly, Task.Delay(s_shutdown)).ConfigureAwait(false);
        await Task.WhenAny(System.Terminate(), Task.Delay(s_shutdown)).ConfigureAwait(false);
    }

    private static ActorSystem Create(string name, ActorSystemSetup setup, MtlsOptions transport)
    {
        try
        {
            return ActorSystem.Create(name, setup);
        }
        catch (Exception e)
        {
            for (Exception? inner = e; inner is not null; inner = inner.InnerException)
            {
                if (inner is IOException)
                {
                    throw new IOException(inner.Message, e);
                }
            }

            throw new IOException($"the control port {transport.BindAddress}:{transport.Port} could not be opened: {e.Message}", e);
        }
    }

    private Task WaitForOthersAsync(CellOptions options, CancellationToken cancellation)
    {
        bool said = false;
        return ColdStart.WaitForOthersAsync(
            options.Seeds,
            ControlEndpoint,
            options.Certificates,
            (answering, needed) =>
            {
                if (!said)
                {
                    said = true;
                    options.Log?.Invoke(Akka.Event.LogLevel.WarningLevel, "cell", $"{answering} of the cell's {options.Seeds.Count} coordinators answer: {needed} are needed before {Self.Name} joins or forms the cell", null);
                }
            },
            cancellation);
    }

    private void Join(IReadOnlyList<Endpoint> seeds)
    {
        AkkaCluster cluster = AkkaCluster.Get(System);
        if (seeds.Count == 0)
        {
            cluster.Join(cluster.SelfAddress);
        }
        else
        {
            cluster.JoinSeedNodes([.. seeds.Select(seed => cluster.SelfAddress.WithHost(seed.Host).WithPort(seed.Port))]);
        }
    }

    private string DescribeStop() => CoordinatedShutdown.Get(System).ShutdownReason switch
    {
        CoordinatedShutdown.ClusterDowningReason => "the cell took this process for lost and removed it",
        CoordinatedShutdown.ClusterJoinUnsuccessfulReason => "no coordinator could be joined in time",
        CoordinatedShutdown.ClusterLeavingReason => "left the cell",
        _ => "stopped",
    };
}
