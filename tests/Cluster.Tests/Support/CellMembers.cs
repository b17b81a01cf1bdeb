using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Event;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Tests.Support;

/// <summary>Members of one cell, all in this process, on loopback.</summary>
internal sealed class CellMembers : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly List<CellSystem> _members = [];

    public TestCell Certificates { get; init; } = new();

    public MtlsOptions Transport { get; init; } = new();

    /// <summary>Warnings and errors that the members' systems logged.</summary>
    public ConcurrentQueue<string> Log { get; } = [];

    public IReadOnlyList<CellSystem> Members => _members;

    public Task<CellSystem> FrontAsync(string name = "front", params Endpoint[] seeds) => StartAsync(Certificates.Coordinator(name), seeds);

    public Task<CellSystem> NodeAsync(string name, Endpoint seed) => StartAsync(Certificates.Node(name), [seed]);

    public async Task<CellSystem> StartAsync(CertificateProvider certificates, Endpoint[] seeds, Func<CellOptions, CellOptions>? change = null)
    {
        CellOptions options = new()
        {
            Certificates = certificates,
            Transport = Transport,
            Seeds = seeds,
            EntryActors = ["/user/node", "/user/entry"],
            ShardTypes = ["deployment"],
            Log = (level, source, message, cause) =>
            {
                if (level >= LogLevel.WarningLevel)
                {
                    Log.Enqueue($"{certificates.Self.Name} {level} {source}: {message} {cause}");
                }
            },
        };
        CellSystem member = await CellSystem.StartAsync(change?.Invoke(options) ?? options, default);
        lock (_members)
        {
            _members.Add(member);
        }

        return member;
    }

    public static int UpCount(CellSystem member) => AkkaCluster.Get(member.System).State.Members.Count(m => m.Status == Akka.Cluster.MemberStatus.Up);

    public Task AllUpAsync(int count) => Eventually.TrueAsync(() => _members.Where(m => !m.Stopped.IsCompleted).All(m => UpCount(m) == count), 30);

    /// <summary>The end of a process as the others see it: no goodbye.</summary>
    public static Task KillAsync(CellSystem member)
    {
        ((ExtendedActorSystem)member.System).Abort();
        return member.Stopped.WaitAsync(Patience);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_members.Select(async m =>
        {
            ((ExtendedActorSystem)m.System).Abort();
            await m.Stopped.WaitAsync(Patience);
        }));
        Certificates.Dispose();
    }
}
