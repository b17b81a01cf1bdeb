using Lamina.Cli.Chaos;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>A cell of two coordinators in this process, each with a store of its own; they join one another, and nodes may join both.</summary>
internal sealed class TwoCoordinators : IAsyncDisposable
{
    private readonly Dictionary<string, CoordinatorHost> _running = [];

    private TwoCoordinators(string first, string second, string[] nodes)
    {
        Names = [first, second];
        Pki = EphemeralPki.Create(Path.Combine(Folder, "pki"), TestCoordinator.Tenant, Names, nodes);
    }

    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(180);

    public string[] Names { get; }

    public string Folder { get; } = Directory.CreateTempSubdirectory("lamina-coordinators-").FullName;

    public EphemeralPki Pki { get; }

    public Endpoint[] Seeds { get; } = [new("127.0.0.1", FreePorts.Take()), new("127.0.0.1", FreePorts.Take())];

    public Cell this[string name] => _running[name].Cells[0];

    public static TwoCoordinators Create(string first, string second, params string[] nodes) => new(first, second, nodes);

    public string OtherThan(string name) => Names.Single(other => other != name);

    /// <param name="options">What each coordinator's cell has beside its certificates and ports, by name.</param>
    public Task StartAsync(Func<string, CellOptions, CellOptions> options) => Task.WhenAll(Names.Select((name, i) => StartAsync(name, Seeds[i], options)));

    public async Task StopAsync(string name)
    {
        await _running[name].DisposeAsync();
        _running.Remove(name);
    }

    public static async Task UntilAsync(Func<bool> holds)
    {
        using var deadline = new CancellationTokenSource(Patience);
        while (!holds())
        {
            await Task.Delay(10, deadline.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (CoordinatorHost coordinator in _running.Values)
        {
            await coordinator.DisposeAsync();
        }

        Pki.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private async Task StartAsync(string name, Endpoint control, Func<string, CellOptions, CellOptions> options)
    {
        CertificateFiles files = Pki.Files(PeerRole.Coordinator, name);
        var cell = new CellOptions
        {
            Tenant = TestCoordinator.Tenant, Name = name, CertificatePath = files.CertificatePath, KeyPath = files.KeyPath, TrustBundlePath = files.TrustBundlePath,
            ControlPort = control.Port, Seeds = Seeds,
        };
        CoordinatorHost host = await CoordinatorHost.StartAsync(
            new CoordinatorOptions { Listen = "127.0.0.1:0", StorePath = Path.Combine(Folder, name), Cells = [options(name, cell)] }, NullLoggerFactory.Instance, CancellationToken.None);
        lock (_running)
        {
            _running[name] = host;
        }
    }
}
