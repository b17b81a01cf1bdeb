using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>A tenant's own, smaller view, with its key.</summary>
[Collection(ServedDashboards.Name)]
public sealed class TenantPageTests(ServedDashboard served, Chromium chromium)
{
    [Fact]
    public async Task Page_WithATenantsKey_ShowsWhatRunsAndWhatWasUsedOfThatTenantAlone()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await watched.SignInAfterARefusalAsync($"{served.Front}tenant", served.BetaKey);
        await page.WaitForSelectorAsync("#cells article[aria-label='cell beta']");
        using (await SlowStream.OpenAsync(served.Front.ToString(), served.BetaKey, ServedDashboard.Model))
        {
            await page.WaitForSelectorAsync($"#running tr:has-text('{ServedDashboard.Model}')");
        }

        // Whoever goes leaves nothing behind.
        await page.WaitForSelectorAsync("#running:has-text('none')");
        await page.WaitForSelectorAsync("#cells:has-text(' 0 running')");
        Assert.DoesNotContain("acme", await page.InnerTextAsync("main"), StringComparison.Ordinal);
        Assert.Empty(await page.QuerySelectorAllAsync("main section button"));
        Assert.Equal("", await page.EvaluateAsync<string>("document.cookie + Object.values(localStorage) + Object.values(sessionStorage)"));
        await page.ClickAsync("#logout");
        await page.WaitForSelectorAsync("#login:not([hidden])");
    }

    [Fact]
    public async Task Events_OfATenantsKey_TellOfNoOther()
    {
        using HttpClient http = new() { BaseAddress = served.Front, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", served.BetaKey) } };
        using HttpResponseMessage events = await http.GetAsync("tenant/events", HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
        string first = (await reader.ReadLineAsync())!;

        Assert.Equal("beta", (string)JsonNode.Parse(first["data: ".Length..])!["cells"]!.AsArray().Single()!["status"]!["tenant"]!);
        Assert.DoesNotContain("acme", first, StringComparison.Ordinal);
        Assert.Equal("beta", (string)JsonNode.Parse(await http.GetStringAsync("tenant/quotas"))!["tenant"]!);

        using HttpClient nobody = new() { BaseAddress = served.Front };
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.GetAsync("tenant/events")).StatusCode);
    }
}
