using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Two keys of one tenant whose rules keep what was computed of a prompt to the key that asked: neither finds the other's in the cache, and an administrator can change that meanwhile.</summary>
public sealed partial class KeyPrefixTests
{
    private const string Tenant = "acme";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(240);

    [Trait("Attack", "E1")]
    [Fact]
    public async Task Prompt_OfAKeyThatKeepsItsOwn_IsFoundByThatKeyAlone()
    {
        using TemporaryFolder folder = new();
        string store = Path.Combine(folder.Path, "store"), file = Path.Combine(folder.Path, "serve.json");
        object[] models = [new { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") }];
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                RequireKeys = true,
                StorePath = store,
                Tenants = new[] { new { Tenant, Nodes = 1, Threads = 1, Models = models, Quotas = new { EachKey = new { SharePrefixes = false } } } },
            },
        }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        string api = Address().Match(await serve.WaitForLineAsync("API at", s_limit)).Value;
        using HttpClient first = await KeyedClient.CreateAsync(store, api, Tenant, s_limit, "--name", "first");
        using HttpClient second = await KeyedClient.CreateAsync(store, api, Tenant, s_limit, "--name", "second");

        string prompt = NewPrompt();
        Assert.Equal(0, await CachedAsync(first, prompt));
        Assert.Equal(0, await CachedAsync(second, prompt));
        Assert.InRange(await CachedAsync(first, prompt), 32, prompt.Length);
        Assert.InRange(await CachedAsync(second, prompt), 32, prompt.Length);

        LaminaProcess set = await LaminaProcess.RunAsync(s_limit, "quota", "set", Tenant, """{"sharePrefixes":true}""", "--key", "*", "--store", store);
        Assert.True(set.ExitCode == 0, set.Error);
        await Eventually.TrueAsync(
            async () =>
            {
                string shared = NewPrompt();
                return await CachedAsync(first, shared) == 0 && await CachedAsync(second, shared) > 0;
            },
            s_limit, "the keys never shared");
    }

    /// <summary>Several blocks of a text that nobody has asked yet.</summary>
    private static string NewPrompt() => RandomNumberGenerator.GetHexString(320);

    private static async Task<int> CachedAsync(HttpClient http, string prompt)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("v1/completions", new { model = "tiny", prompt, max_tokens = 1 });
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["usage"]!["prompt_tokens_details"]!["cached_tokens"]!.GetValue<int>();
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
