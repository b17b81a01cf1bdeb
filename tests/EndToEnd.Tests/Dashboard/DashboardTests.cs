using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>The dashboard as operators meet it, in a browser.</summary>
[Collection(ServedDashboards.Name)]
public sealed class DashboardTests(ServedDashboard served, Chromium chromium)
{
    private const string Model = ServedDashboard.Model;

    [Fact]
    public async Task Page_AnOperatorSignsInAndWatchesAChatAndDrainsANode_ShowsAllOfIt()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await watched.SignInAfterARefusalAsync($"{served.Admin}dashboard", served.OperatorKey);
        await page.WaitForSelectorAsync("article:has-text('node-3')");
        await page.WaitForSelectorAsync("#flow .uplot canvas");
        string acme = await page.InnerTextAsync("article[aria-label='cell acme']");
        foreach (string text in (string[])["3 nodes", "layers 0–1", "layers 2–3", "layers 4–5", "node-1, ready", "node-2, ready", "node-3, ready", "Ready", "→ node-2", "→ node-3", "↩ node-1", "tokens/s", "queued", "busy"])
        {
            Assert.Contains(text, acme, StringComparison.Ordinal);
        }

        // Each pipeline's links are pinged twice a second and reported every two.
        await page.WaitForSelectorAsync("article[aria-label='cell acme'] .link:has-text(' ms')");

        // Two answers of 16 tokens stand in the usage of the key that asked for them, and in the chart of the last days.
        using (HttpClient http = new() { BaseAddress = served.Front, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", served.AcmeKey) } })
        {
            for (int i = 0; i < 2; i++)
            {
                JsonObject chat = new() { ["model"] = Model, ["messages"] = ChatApi.User("Hello."), ["max_tokens"] = 16, ["min_tokens"] = 16 };
                using HttpResponseMessage answered = await http.PostAsJsonAsync("v1/chat/completions", chat);
                Assert.True(answered.IsSuccessStatusCode, await answered.Content.ReadAsStringAsync());
            }
        }

        await page.SelectOptionAsync("#usage-tenant", "acme");
        await page.SelectOptionAsync("#usage-days", "7");
        await page.WaitForSelectorAsync($"#usage tr:has-text('{Model}'):has(td:nth-child(3):text-is('2')):has(td:nth-child(5):text-is('32'))");
        Assert.Single(await page.QuerySelectorAllAsync("#usage svg rect[height='60']"));

        // Nobody reads this answer, so that it cannot end before it has been seen.
        using (SlowStream chat = await SlowStream.OpenAsync(served.Front.ToString(), served.AcmeKey, Model))
        {
            await page.WaitForSelectorAsync($"#running tr:has-text('{Model}')");
            await watched.KeepAsync("dashboard-1280.png", height: 1160);

            // A window as narrow as a telephone's scrolls within its tables, never as a whole.
            await page.SetViewportSizeAsync(390, 844);
            Assert.InRange(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, 390);
            await watched.KeepAsync("dashboard-390.png", height: 1500);
            await page.SetViewportSizeAsync(1280, 900);

            await page.ClickAsync("#running button[aria-label^='Cancel']");
            await watched.AgreeAsync();
            await watched.SaysAsync(": done");
            Assert.False(await chat.ReadsToItsEndAsync());
        }

        await page.WaitForSelectorAsync("#running:has-text('none')");
        Assert.Contains(Model, await watched.ConfirmAsync("Drain node-3 of acme"), StringComparison.Ordinal);
        await page.WaitForSelectorAsync("article[aria-label='cell acme'] tr:has-text('node-3')", new() { State = WaitForSelectorState.Detached });
        await page.ReloadAsync();
        await page.WaitForSelectorAsync("#audit tr:has-text('node=node-3'):has-text('202')");
        await page.WaitForSelectorAsync($"#audit tr:has-text('generations'):has-text('cancel')");
        await page.ClickAsync("#logout");
        await page.WaitForSelectorAsync("#login:not([hidden])");
    }

    [Fact]
    public async Task Deployment_RolledWhileAnAnswerRuns_IsPreviewedAndCutsNothing()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        await watched.SignInAsync(served, served.OperatorKey);
        int epoch = await EpochAsync("beta");
        using SlowStream chat = await SlowStream.OpenAsync(served.Front.ToString(), served.BetaKey, Model);

        // With one node there is nothing else to plan; rolling loads the same layers again.
        await watched.Page.ClickAsync($"button[aria-label='Re-plan {Model} of beta']");
        await watched.SaysAsync("nothing would change");
        string asked = await watched.ConfirmAsync($"Roll {Model} of beta");

        Assert.Contains($"epoch {epoch}: node-1 0–5 becomes node-1 0–5", asked, StringComparison.Ordinal);
        Assert.Contains("1 running answer would go on", asked, StringComparison.Ordinal);
        await watched.SaysAsync("done");
        await Eventually.TrueAsync(async () => await EpochAsync("beta") > epoch, TimeSpan.FromMinutes(2), "the deployment was never replaced");
        Assert.True(await chat.ReadsToItsEndAsync());
        Assert.Contains(await RecordsAsync(), record => record.Contains($"deployments/{{deployment}}/roll tenant=beta deployment={Model} 202", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Quotas_EditedInTheForm_HoldAndAreAudited()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await watched.SignInAsync(served, served.OperatorKey);
        await page.SelectOptionAsync("#usage-tenant", "beta");
        await page.ClickAsync("button[aria-label='Edit quotas of the tenant as a whole of beta']");
        await page.FillAsync("#quota-requestsPerDay", "0");
        await page.ClickAsync("#quota-dialog button[value='yes']");
        Assert.True(await page.IsVisibleAsync("#quota-dialog"), "a field that is out of range keeps the form open");
        await page.FillAsync("#quota-requestsPerDay", "12345");
        await page.ClickAsync("#quota-dialog button[value='yes']");

        Assert.Contains("then: Requests a day: 12,345", await watched.AgreeAsync(), StringComparison.Ordinal);
        await page.WaitForSelectorAsync("#quotas tr:has-text('Requests a day: 12,345')");
        Assert.Equal(12345, (int)(await served.AdminAsync("admin/tenants/beta/quotas"))["tenant"]!["requestsPerDay"]!);
        Assert.Contains(await RecordsAsync(), record => record.StartsWith("PUT /admin/tenants/{tenant}/quotas tenant=beta {", StringComparison.Ordinal) && record.Contains("\"requestsPerDay\":12345", StringComparison.Ordinal) && record.EndsWith(" 200", StringComparison.Ordinal));

        await page.ClickAsync("button[aria-label='Edit quotas of the tenant as a whole of beta']");
        await page.FillAsync("#quota-requestsPerDay", "");
        await page.ClickAsync("#quota-dialog button[value='yes']");
        Assert.Contains("then: no limit", await watched.AgreeAsync(), StringComparison.Ordinal);
        await page.WaitForSelectorAsync("#quotas tr:has-text('Requests a day')", new() { State = WaitForSelectorState.Detached });
    }

    [Fact]
    public async Task TenantsAndKeys_PausedAndRevoked_OnlyWhenConfirmed()
    {
        (string id, _) = await served.CreateKeyAsync("beta", "passing", "usage");
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await watched.SignInAsync(served, served.OperatorKey);
        await page.ClickAsync("button[aria-label='Revoke passing']");
        await page.ClickAsync("#confirm button[value='no']");
        await page.ClickAsync("button[aria-label='Suspend beta']");
        await page.WaitForSelectorAsync("#confirm[open]");
        await page.Keyboard.PressAsync("Escape");
        Assert.DoesNotContain(await RecordsAsync(), record => record.Contains($"revoke key={id}", StringComparison.Ordinal) || record.Contains("/suspend tenant=beta", StringComparison.Ordinal));

        Assert.Contains("0 running answers would end", await watched.ConfirmAsync("Suspend beta"), StringComparison.Ordinal);
        await page.WaitForSelectorAsync("#tenants tr:has-text('beta'):has-text('suspended since')");
        await watched.ConfirmAsync("Resume beta");
        await page.WaitForSelectorAsync("#tenants tr:has-text('beta'):has-text('active')");
        Assert.Contains("cannot be undone", await watched.ConfirmAsync("Revoke passing"), StringComparison.Ordinal);
        await page.WaitForSelectorAsync("#keys tr:has-text('passing'):has-text('revoked')");
        await page.WaitForSelectorAsync($"#audit tr:has-text('key={id}')");
        foreach (string action in (string[])["suspend tenant=beta 200", "resume tenant=beta 200", $"revoke key={id} 200"])
        {
            Assert.Contains(await RecordsAsync(), record => record.Contains(action, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Page_ByKeyboardAlone_SignsInAndReachesEveryAction()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        IPage page = watched.Page;
        await page.GotoAsync($"{served.Admin}dashboard");
        await page.WaitForSelectorAsync("#key:focus");
        await page.Keyboard.TypeAsync(served.OperatorKey);
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync("#keys tr");
        await page.WaitForSelectorAsync("#cells article");

        string[] wanted = ["Drain node-1 of beta", $"Re-plan {Model} of beta", $"Roll {Model} of beta", "Suspend beta", "Revoke beta's own", "Edit quotas of each key of acme"];
        HashSet<string> met = [];
        for (int i = 0; i < 200 && !met.IsSupersetOf(wanted); i++)
        {
            await page.Keyboard.PressAsync("Tab");
            met.Add(await page.EvaluateAsync<string?>("document.activeElement.getAttribute('aria-label')") ?? "");
        }

        Assert.Superset(wanted.ToHashSet(), met);
        await page.FocusAsync("button[aria-label='Suspend beta']");
        Assert.NotEqual("none", await page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"));
        await page.Keyboard.PressAsync("Enter");
        await page.WaitForSelectorAsync("#confirm[open]");
        Assert.True(await page.EvaluateAsync<bool>("document.getElementById('confirm').contains(document.activeElement)"));
        await page.Keyboard.PressAsync("Escape");
        await page.WaitForSelectorAsync("#confirm", new() { State = WaitForSelectorState.Hidden });
        await page.WaitForSelectorAsync("button[aria-label='Suspend beta']:focus");
        Assert.Equal("active", await page.InnerTextAsync("#tenants tr:has-text('beta') td:nth-child(3)"));
    }

    private async Task<int> EpochAsync(string tenant) => (await served.AdminAsync("admin/cells"))["data"]!.AsArray()
        .Where(cell => (string)cell!["tenant"]! == tenant).Select(cell => (int)cell!["deployments"]![0]!["epoch"]!).Single();

    /// <summary>The audit trail, newest first, each record as its target and result.</summary>
    private async Task<string[]> RecordsAsync() =>
        [.. (await served.AdminAsync("admin/audit?limit=500"))["data"]!.AsArray().Select(record => $"{(string?)record!["target"]} {(string?)record["result"]}")];
}
