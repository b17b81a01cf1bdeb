using System.Net.Http.Headers;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.TestSupport;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>One coordinator with the cells of two tenants, whose models have different names, and keys of every kind. No nodes.</summary>
public sealed class TwoTenants : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-two-").FullName;
    private readonly List<EphemeralPki> _pkis = [];

    public CoordinatorHost Host { get; private set; } = null!;

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(180) };

    internal NewKey Alpha { get; private set; } = null!;

    internal NewKey Beta { get; private set; } = null!;

    internal NewKey AlphaUsage { get; private set; } = null!;

    internal NewKey AlphaAdmin { get; private set; } = null!;

    internal NewKey Operator { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var options = new CoordinatorOptions
        {
            Listen = "127.0.0.1:0",
            Admin = new AdminOptions { Listen = "127.0.0.1:0" },
            SecurityContact = new SecurityContactOptions { Contact = "mailto:security@example.org", Policy = "https://example.org/security" },
            StorePath = Path.Combine(_folder, "store"),
            Cells = [Cell(TestState.Alpha, "alpha-model"), Cell(TestState.Beta, "beta-model")],
        };
        Host = await CoordinatorHost.StartAsync(options, NullLoggerFactory.Instance, CancellationToken.None);
        Http.BaseAddress = Host.HttpAddress;
        Alpha = await CreateAsync(TestState.Alpha, KeyScopes.Inference | KeyScopes.Usage);
        Beta = await CreateAsync(TestState.Beta, KeyScopes.Inference | KeyScopes.Usage);
        AlphaUsage = await CreateAsync(TestState.Alpha, KeyScopes.Usage);
        AlphaAdmin = await CreateAsync(TestState.Alpha, KeyScopes.Admin);
        Operator = await CreateAsync(null, KeyScopes.Admin);
        await Host.Access!.Ring.RefreshAsync(CancellationToken.None);
        while (!Host.Cells.All(cell => cell.Deployments[0].Phase == DeploymentPhase.WaitingForNodes))
        {
            await Task.Delay(10);
        }
    }

    internal Task<NewKey> CreateAsync(TenantId? tenant, KeyScopes scopes) => Host.Access!.Keys.CreateAsync(tenant, "test", scopes, null, CancellationToken.None);

    /// <summary>An address of the admin listener.</summary>
    internal string Admin(string path) => new Uri(Host.AdminAddress!, path).ToString();

    internal Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? key, string? body = null, Action<HttpRequestHeaders>? headers = null)
    {
        var request = new HttpRequestMessage(method, path);
        if (key is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        headers?.Invoke(request.Headers);
        if (body is not null)
        {
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        }

        return Http.SendAsync(request);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (Host is not null)
        {
            await Host.DisposeAsync();
        }

        _pkis.ForEach(pki => pki.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private CellOptions Cell(TenantId tenant, string model)
    {
        EphemeralPki pki = EphemeralPki.Create(Path.Combine(_folder, "pki-" + tenant), tenant, ["front"], []);
        _pkis.Add(pki);
        CertificateFiles files = pki.Files(PeerRole.Coordinator, "front");
        return new CellOptions
        {
            Tenant = tenant,
            Name = "front",
            CertificatePath = files.CertificatePath,
            KeyPath = files.KeyPath,
            TrustBundlePath = files.TrustBundlePath,
            Models = [new ModelOptions { Name = model, Path = Repository.File("models/lamina-tiny-q8_0.gguf") }],
        };
    }
}
