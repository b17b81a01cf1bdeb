using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary><c>lamina serve</c> with two tenants, each with a node and the built-in model under a name of its own; shared by the tests of a class.</summary>
public sealed partial class TwoTenants : IAsyncLifetime
{
    public const string Acme = "acme", Globex = "globex";

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, HttpClient> _clients = [];

    internal LaminaProcess Process { get; private set; } = null!;
    internal Uri Address { get; private set; } = null!;
    internal Dictionary<string, string> Keys { get; } = [];

    internal HttpClient this[string tenant] => _clients[tenant];

    internal static string ModelOf(string tenant) => $"{tenant}-model";

    public async ValueTask InitializeAsync()
    {
        string configuration = Path.Combine(_folder.Path, "serve.json");
        await File.WriteAllTextAsync(configuration, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                Tenants = new[] { Acme, Globex }.Select(tenant => new
                {
                    Tenant = tenant,
                    Nodes = 1,
                    Threads = 1,
                    Models = new[] { new { Name = ModelOf(tenant), Path = Repository.File("models/lamina-tiny-q8_0.gguf") } },
                }),
            },
        }));
        Process = LaminaProcess.Start("serve", "--config", configuration);
        Address = new Uri(HttpAddress().Match(await Process.WaitForLineAsync("API at", TimeSpan.FromSeconds(240))).Value);
        foreach (string tenant in new[] { Acme, Globex })
        {
            string line = await Process.WaitForLineAsync($"key of tenant {tenant}", TimeSpan.FromSeconds(120));
            Keys[tenant] = line[(line.LastIndexOf(' ') + 1)..].Trim();
            _clients[tenant] = new HttpClient { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(3) };
            _clients[tenant].DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Keys[tenant]);
        }
    }

    public ValueTask DisposeAsync()
    {
        foreach (HttpClient client in _clients.Values)
        {
            client.Dispose();
        }

        Process.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>One token after a prompt of text, without sampling.</summary>
    internal static JsonObject Completion(string tenant, string prompt, int maxTokens = 1) =>
        new() { ["model"] = ModelOf(tenant), ["prompt"] = prompt, ["temperature"] = 0, ["max_tokens"] = maxTokens };

    internal async Task<string> CompleteAsync(string tenant, string prompt, int maxTokens = 1)
    {
        using HttpResponseMessage response = await this[tenant].PostAsJsonAsync("v1/completions", Completion(tenant, prompt, maxTokens));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return text;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex HttpAddress();
}
