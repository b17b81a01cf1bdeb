using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;
using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests;

/// <summary>The dashboard as its readers meet it: in a browser where there is one, and by hand where somebody else's page tries to use it.</summary>
public sealed partial class DashboardTests(DashboardTests.ServedCell served) : IClassFixture<DashboardTests.ServedCell>
{
    private const string Model = "lamina-tiny-q8_0";
    private const string Browser = "/usr/bin/chromium";

    [Fact]
    public async Task Page_AnOperatorSignsInAndWatchesAChatAndDrainsANode_ShowsAllOfIt()
    {
        Assert.SkipUnless(File.Exists(Browser), $"no browser at {Browser}");
        using IPlaywright playwright = await Playwright.CreateAsync();
        await using IBrowser browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = Browser, Args = ["--no-sandbox"] });
        IPage page = await browser.NewPageAsync(new() { ViewportSize = new() { Width = 1280, Height = 900 } });
        await page.GotoAsync($"{served.Admin}dashboard");
        await page.FillAsync("#key", "lam_000000000000_nobody");
        await page.ClickAsync("#login button");
        await page.WaitForSelectorAsync("#refusal:not(:empty)");

        await page.FillAsync("#key", served.OperatorKey);
        await page.ClickAsync("#login button");
        await page.WaitForSelectorAsync("article:has-text('node-3')");
        foreach (string text in (string[])["layers 0–1", "layers 2–3", "layers 4–5", "Ready"])
        {
            Assert.Contains(text, await page.InnerTextAsync("#cells"), StringComparison.Ordinal);
        }

        using HttpClient http = served.Api();
        Task<HttpResponseMessage>[] chats = [.. Enumerable.Range(0, 8).Select(_ => http.PostAsJsonAsync(
            "v1/chat/completions",
            new JsonObject { ["model"] = Model, ["stream"] = true, ["max_tokens"] = 1800, ["min_tokens"] = 1800, ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Tell me a story." }) }))];
        await page.WaitForSelectorAsync($"#running tr:has-text('{Model}')");
        await page.ClickAsync("#running button[aria-label^='Cancel']");
        await page.ClickAsync("#confirm-yes");
        await page.WaitForSelectorAsync("#state:has-text('done')");
        await KeepAsync(page, "dashboard-1280.png");

        // A window as narrow as a telephone's scrolls within its tables, never as a whole.
        await page.SetViewportSizeAsync(390, 844);
        Assert.InRange(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, 390);
        await KeepAsync(page, "dashboard-390.png");
        await page.SetViewportSizeAsync(1280, 900);

        string[] answers = await Task.WhenAll(chats.Select(async chat => await (await chat).Content.ReadAsStringAsync()));
        Assert.Single(answers, answer => !answer.Contains("[DONE]", StringComparison.Ordinal));
        await page.WaitForSelectorAsync("#running:has-text('none')");

        await page.ClickAsync("button[aria-label='Drain node-3']");
        Assert.Contains(Model, await page.InnerTextAsync("#confirm-text"), StringComparison.Ordinal);
        await page.ClickAsync("#confirm-yes");
        await page.WaitForSelectorAsync("#cells tr:has-text('node-3')", new() { State = WaitForSelectorState.Detached, Timeout = 60_000 });
        await page.ReloadAsync();
        await page.WaitForSelectorAsync("#audit tr:has-text('node=node-3')");
        await page.ClickAsync("#logout");
        await page.WaitForSelectorAsync("#login:not([hidden])");
    }

    [Fact]
    public async Task Page_WithAllItLoads_WeighsUnder300Kilobytes()
    {
        using HttpClient http = new() { BaseAddress = served.Admin };
        string html = await http.GetStringAsync("dashboard");
        string[] assets = ["/dashboard/chart.js", "/dashboard/view.js", .. References().Matches(html).Select(match => match.Groups[1].Value)];
        Assert.True(assets.Length >= 4, string.Join(' ', assets));
        long bytes = html.Length;
        foreach (string asset in assets)
        {
            bytes += (await http.GetByteArrayAsync(asset)).Length;
        }

        Assert.InRange(bytes, 1, 300_000);
        Assert.DoesNotContain("http", html, StringComparison.Ordinal);
        Assert.DoesNotMatch("<script>|\\sstyle=|\\son[a-z]+=", html);
    }

    [Fact]
    public async Task Session_UsedByAnotherPage_ChangesNothing()
    {
        using HttpClientHandler handler = new() { UseCookies = false };
        using HttpClient http = new(handler) { BaseAddress = served.Admin };
        using HttpResponseMessage login = await http.PostAsJsonAsync("dashboard/login", new JsonObject { ["key"] = served.OperatorKey });
        string set = login.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains("httponly", set, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", set, StringComparison.OrdinalIgnoreCase);
        string cookie = set.Split(';')[0];
        string csrf = (string)(await login.Content.ReadFromJsonAsync<JsonNode>())!["csrf"]!;

        Assert.Equal(HttpStatusCode.OK, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie, null));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(http, HttpMethod.Post, "admin/tenants/nobody/suspend", cookie, null));
        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(http, HttpMethod.Post, "admin/tenants/nobody/suspend", cookie, new string('0', csrf.Length)));
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync(http, HttpMethod.Post, "admin/tenants/nobody/suspend", cookie, csrf));
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie + "0", null));
        Assert.Equal(HttpStatusCode.NoContent, await SendAsync(http, HttpMethod.Post, "dashboard/logout", cookie, csrf));
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie, null));

        // A form of a foreign page can send neither JSON nor the header.
        using HttpResponseMessage form = await http.PostAsync("dashboard/login", new StringContent($$"""{"key": "{{served.OperatorKey}}"}""", new MediaTypeHeaderValue("text/plain")));
        Assert.Equal(HttpStatusCode.BadRequest, form.StatusCode);
    }

    [Fact]
    public async Task Session_OfATenantsAdministrator_SeesThatTenantAlone()
    {
        using HttpClientHandler handler = new() { UseCookies = false };
        using HttpClient http = new(handler) { BaseAddress = served.Admin };
        using HttpResponseMessage login = await http.PostAsJsonAsync("dashboard/login", new JsonObject { ["key"] = served.OtherKey });
        using HttpRequestMessage request = new(HttpMethod.Get, "dashboard/events") { Headers = { { "Cookie", login.Headers.GetValues("Set-Cookie").Single().Split(';')[0] } } };
        using HttpResponseMessage events = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
        string first = (await reader.ReadLineAsync())!;
        JsonNode snapshot = JsonNode.Parse(first["data: ".Length..])!;
        Assert.Equal("beta", (string)snapshot["cells"]!.AsArray().Single()!["status"]!["tenant"]!);
        Assert.DoesNotContain("acme", first, StringComparison.Ordinal);
    }

    private static async Task<HttpStatusCode> SendAsync(HttpClient http, HttpMethod method, string path, string cookie, string? csrf)
    {
        using HttpRequestMessage request = new(method, path) { Headers = { { "Cookie", cookie } } };
        if (csrf is not null)
        {
            request.Headers.Add("X-Lamina-Csrf", csrf);
        }

        using HttpResponseMessage response = await http.SendAsync(request);
        return response.StatusCode;
    }

    private static Task KeepAsync(IPage page, string name) =>
        page.ScreenshotAsync(new() { Path = Path.Combine(Repository.Root, "artifacts", "test-results", name), FullPage = true });

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex References();

    /// <summary>Two tenants on one coordinator with an admin listener; an operator's key, one for the first tenant's requests and one for the second's administrator.</summary>
    public sealed partial class ServedCell : IAsyncLifetime
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("lamina-dashboard-").FullName;
        private LaminaProcess? _serve;

        public Uri Admin { get; private set; } = null!;
        public Uri Front { get; private set; } = null!;
        public string OperatorKey { get; private set; } = "";
        public string AcmeKey { get; private set; } = "";
        public string OtherKey { get; private set; } = "";

        public HttpClient Api() => new() { BaseAddress = Front, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", AcmeKey) } };

        public async ValueTask InitializeAsync()
        {
            string model = Path.Combine(Repository.Root, "models", Model + ".gguf");
            string store = Path.Combine(_folder, "store");
            string config = Path.Combine(_folder, "serve.json");
            JsonObject Tenant(string name, int nodes) => new() { ["Tenant"] = name, ["Nodes"] = nodes, ["Models"] = new JsonArray(new JsonObject { ["Path"] = model }) };
            await File.WriteAllTextAsync(config, new JsonObject
            {
                ["Serve"] = new JsonObject
                {
                    ["Listen"] = "127.0.0.1:0", ["StorePath"] = store, ["Admin"] = new JsonObject { ["Listen"] = "127.0.0.1:0" }, ["Tenants"] = new JsonArray(Tenant("acme", 3), Tenant("beta", 1)),
                },
            }.ToJsonString());
            _serve = LaminaProcess.Start("serve", "--config", config);
            string line = await _serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(120));
            Front = new Uri(Address().Matches(line)[0].Value);
            Admin = new Uri(AdminAddress().Match(line).Groups[1].Value);
            OperatorKey = await KeyAsync(store, "--operator");
            AcmeKey = await KeyAsync(store, "acme");
            OtherKey = await KeyAsync(store, "beta", "--scope", "admin");
        }

        public ValueTask DisposeAsync()
        {
            _serve?.Dispose();
            Directory.Delete(_folder, recursive: true);
            return ValueTask.CompletedTask;
        }

        private static async Task<string> KeyAsync(string store, params string[] arguments)
        {
            using LaminaProcess create = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(60), ["key", "create", .. arguments, "--store", store]);
            Assert.True(create.ExitCode == 0, create.Error);
            return Key().Match(create.Output).Value;
        }

        [GeneratedRegex("http://[0-9.:]+/")]
        private static partial Regex Address();

        [GeneratedRegex("admin listener at (http://[0-9.:]+/)")]
        private static partial Regex AdminAddress();

        [GeneratedRegex("lam_[0-9A-Za-z_-]+")]
        private static partial Regex Key();
    }
}
