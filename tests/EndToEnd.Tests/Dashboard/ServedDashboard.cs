using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>
/// Two tenants on one coordinator with an admin listener, for all tests of the dashboard: three nodes for acme, which one test drains, and one for beta. Keys: an operator's, one for each tenant's
/// requests, one for beta's administrator.
/// </summary>
public sealed partial class ServedDashboard : IAsyncLifetime
{
    public const string Model = "lamina-tiny-q8_0";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-dashboard-").FullName;
    private LaminaProcess? _serve;

    public Uri Admin { get; private set; } = null!;
    public Uri Front { get; private set; } = null!;
    public string OperatorKey { get; private set; } = "";
    public string AcmeKey { get; private set; } = "";
    public string BetaKey { get; private set; } = "";
    public string BetaAdminKey { get; private set; } = "";

    /// <summary>The process of the coordinator; nodes are processes of their own.</summary>
    public int ProcessId => _serve!.Id;

    public async ValueTask InitializeAsync()
    {
        string store = Path.Combine(_folder, "store");
        string config = Path.Combine(_folder, "serve.json");
        JsonObject Tenant(string name, int nodes) =>
            new() { ["Tenant"] = name, ["Nodes"] = nodes, ["Models"] = new JsonArray(new JsonObject { ["Path"] = Repository.File($"models/{Model}.gguf") }) };
        await File.WriteAllTextAsync(config, new JsonObject
        {
            ["Serve"] = new JsonObject
            {
                ["Listen"] = "127.0.0.1:0", ["StorePath"] = store, ["Admin"] = new JsonObject { ["Listen"] = "127.0.0.1:0" }, ["Tenants"] = new JsonArray(Tenant("acme", 3), Tenant("beta", 1)),
            },
        }.ToJsonString());
        _serve = LaminaProcess.Start("serve", "--config", config);
        string line = await _serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(240));
        Front = new Uri(Address().Matches(line)[0].Value);
        Admin = new Uri(AdminAddress().Match(line).Groups[1].Value);
        using LaminaProcess create = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(180), "key", "create", "--operator", "--store", store);
        Assert.True(create.ExitCode == 0, create.Error);
        OperatorKey = Key().Match(create.Output).Value;
        AcmeKey = (await CreateKeyAsync("acme", "acme's own", "inference", "usage")).Text;
        BetaKey = (await CreateKeyAsync("beta", "beta's own", "inference", "usage")).Text;
        BetaAdminKey = (await CreateKeyAsync("beta", "beta's administrator", "admin")).Text;
    }

    public async Task<(string Id, string Text)> CreateKeyAsync(string tenant, string name, params string[] scopes)
    {
        using HttpClient http = AdminClient();
        JsonNode made = await AskAsync(http, HttpMethod.Post, "admin/keys", new JsonObject { ["tenant"] = tenant, ["name"] = name, ["scopes"] = new JsonArray([.. scopes.Select(scope => (JsonNode)scope)]) });
        return ((string)made["id"]!, (string)made["key"]!);
    }

    /// <summary>What the admin listener answers an operator.</summary>
    public async Task<JsonNode> AdminAsync(string path)
    {
        using HttpClient http = AdminClient();
        return await AskAsync(http, HttpMethod.Get, path, null);
    }

    public ValueTask DisposeAsync()
    {
        _serve?.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    private HttpClient AdminClient() => new() { BaseAddress = Admin, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", OperatorKey) } };

    private static async Task<JsonNode> AskAsync(HttpClient http, HttpMethod method, string path, JsonObject? body)
    {
        using HttpRequestMessage request = new(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using HttpResponseMessage response = await http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    [GeneratedRegex("http://[0-9.:]+/")]
    private static partial Regex Address();

    [GeneratedRegex("admin listener at (http://[0-9.:]+/)")]
    private static partial Regex AdminAddress();

    [GeneratedRegex("lam_[0-9A-Za-z_-]+")]
    private static partial Regex Key();
}

/// <summary>One coordinator for all tests of the dashboard, which therefore run one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class ServedDashboards : ICollectionFixture<ServedDashboard>, ICollectionFixture<Chromium>
{
    public const string Name = "dashboard";
}
