using System.Net.Http.Headers;
using System.Text;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>A whole coordinator on free ports with certificates of its own; folders go with it.</summary>
internal sealed class TestCoordinator : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-coordinator-").FullName;

    private readonly string _name;

    private TestCoordinator(string name, IReadOnlyList<string> nodes)
    {
        _name = name;
        Pki = EphemeralPki.Create(Path.Combine(_folder, "pki"), Tenant, [name], nodes);
    }

    public static TenantId Tenant { get; } = new("acme");

    public EphemeralPki Pki { get; }

    public CoordinatorHost Host { get; private set; } = null!;

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(180) };

    public string Folder => _folder;

    /// <param name="change">What is to differ from the usual options.</param>
    /// <param name="name">Of the coordinator, which another on the same database must not bear.</param>
    public static async Task<TestCoordinator> StartAsync(
        IReadOnlyList<ModelOptions> models, IReadOnlyList<string>? nodes = null, string listen = "127.0.0.1:0", Func<CoordinatorOptions, CoordinatorOptions>? change = null,
        string name = "front")
    {
        var coordinator = new TestCoordinator(name, nodes ?? []);
        try
        {
            CoordinatorOptions options = coordinator.Options(models, listen);
            coordinator.Host = await CoordinatorHost.StartAsync(change?.Invoke(options) ?? options, NullLoggerFactory.Instance, CancellationToken.None);
            coordinator.Http.BaseAddress = coordinator.Host.HttpAddress;
            return coordinator;
        }
        catch
        {
            await coordinator.DisposeAsync();
            throw;
        }
    }

    public CoordinatorOptions Options(IReadOnlyList<ModelOptions> models, string listen)
    {
        CertificateFiles files = Pki.Files(PeerRole.Coordinator, _name);
        return new CoordinatorOptions
        {
            Listen = listen,
            StorePath = Path.Combine(_folder, "store"),
            Cells =
            [
                new CellOptions
                {
                    Tenant = Tenant, Name = _name, CertificatePath = files.CertificatePath, KeyPath = files.KeyPath, TrustBundlePath = files.TrustBundlePath, Models = models,
                },
            ],
        };
    }

    public Task<HttpResponseMessage> PostAsync(string route, string json) =>
        Http.PostAsync(route, new StringContent(json, Encoding.UTF8, new MediaTypeHeaderValue("application/json")));

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (Host is not null)
        {
            await Host.DisposeAsync();
        }

        Pki.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
