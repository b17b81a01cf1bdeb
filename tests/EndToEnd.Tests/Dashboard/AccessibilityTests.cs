using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>axe-core's judgement on what each page shows, in light and dark, wide and narrow.</summary>
[Collection(ServedDashboards.Name)]
public sealed class AccessibilityTests(ServedDashboard served, Chromium chromium)
{
    [Theory]
    [InlineData(ColorScheme.Light, 1280)]
    [InlineData(ColorScheme.Dark, 1280)]
    [InlineData(ColorScheme.Light, 390)]
    [InlineData(ColorScheme.Dark, 390)]
    public async Task Pages_HaveNoSeriousViolation(ColorScheme scheme, int width)
    {
        string axe = await Chromium.AxeAsync();
        await using WatchedPage watched = await chromium.OpenAsync(width, scheme: scheme);
        IPage page = watched.Page;
        await page.GotoAsync($"{served.Admin}dashboard");
        await page.WaitForSelectorAsync("#login:not([hidden])");
        Assert.Empty(await watched.ViolationsAsync(axe));

        await watched.SignInAsync(served, served.OperatorKey);
        await page.WaitForSelectorAsync("#usage table, #usage p");
        Assert.InRange(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, width);
        Assert.Empty(await watched.ViolationsAsync(axe));
        await watched.KeepAsync($"dashboard-{scheme}-{width}.png".ToLowerInvariant());

        await page.ClickAsync("button[aria-label='Edit quotas of each key of acme']");
        await page.WaitForSelectorAsync("#quota-dialog[open]");
        Assert.Empty(await watched.ViolationsAsync(axe));

        await page.GotoAsync($"{served.Front}tenant");
        await page.FillAsync("#key", served.BetaKey);
        await page.ClickAsync("#login button");
        await page.WaitForSelectorAsync("#cells article");
        Assert.InRange(await page.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, width);
        Assert.Empty(await watched.ViolationsAsync(axe));
        await watched.KeepAsync($"tenant-{scheme}-{width}.png".ToLowerInvariant());
    }
}
