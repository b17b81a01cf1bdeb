using System.Text.Json;
using Lamina.EndToEnd.Tests.Clients;
using Lamina.TestSupport;
using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>The browser of the machine, started once, and axe-core, installed once into artifacts/ from its npm package.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private const string Executable = "/usr/bin/chromium";
    private const string AxePackage = "axe-core@4.10.3";

    private static readonly string s_tools = Repository.File("artifacts/test-tools");
    private static readonly string s_axe = Path.Combine(s_tools, "node_modules", "axe-core", "axe.min.js");

    private IPlaywright? _playwright;
    private IBrowser? _browser;

    public async ValueTask InitializeAsync()
    {
        if (File.Exists(Executable))
        {
            _playwright = await Playwright.CreateAsync();
            _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = Executable, Args = ["--no-sandbox"], Timeout = 120_000 });
        }
    }

    public async ValueTask DisposeAsync()
    {
        await (_browser?.DisposeAsync() ?? ValueTask.CompletedTask);
        _playwright?.Dispose();
    }

    /// <summary>A page in a context of its own, so without anybody's cookies; skips the test where there is no browser. What it is not allowed to load or run is counted as a failure.</summary>
    internal async Task<WatchedPage> OpenAsync(int width = 1280, int height = 900, ColorScheme scheme = ColorScheme.Light)
    {
        Assert.SkipUnless(_browser is not null, $"no browser at {Executable}");
        IBrowserContext context = await _browser!.NewContextAsync(new() { ViewportSize = new() { Width = width, Height = height }, ColorScheme = scheme });
        context.SetDefaultTimeout(120_000);
        return new WatchedPage(context, await context.NewPageAsync());
    }

    /// <summary>axe-core's script; skips the test where it cannot be had.</summary>
    internal static async Task<string> AxeAsync()
    {
        if (!File.Exists(s_axe))
        {
            Assert.SkipUnless(Tool.Exists("npm"), "axe-core is installed with npm, which is not on the PATH");
            try
            {
                Directory.CreateDirectory(s_tools);
                await Tool.RunAsync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", s_tools, AxePackage], TimeSpan.FromMinutes(3));
            }
            catch (InvalidOperationException e)
            {
                Assert.Skip($"axe-core could not be installed with npm: {e.Message}");
            }
        }

        return await File.ReadAllTextAsync(s_axe);
    }
}

/// <summary>A page and its complaints.</summary>
internal sealed class WatchedPage : IAsyncDisposable
{
    private readonly IBrowserContext _context;
    private readonly List<string> _complaints = [];

    public WatchedPage(IBrowserContext context, IPage page)
    {
        (_context, Page) = (context, page);
        page.PageError += (_, error) => _complaints.Add(error);
        page.Console += (_, message) =>
        {
            if (message.Text.Contains("Content Security Policy", StringComparison.Ordinal))
            {
                _complaints.Add(message.Text);
            }
        };
    }

    public IPage Page { get; }

    /// <summary>Shows a page, types a key that nobody has, is refused, and types the right one.</summary>
    public async Task SignInAfterARefusalAsync(string address, string key)
    {
        await Page.GotoAsync(address);
        await Page.FillAsync("#key", "lam_000000000000_nobody");
        await Page.ClickAsync("#login button");
        await Page.WaitForSelectorAsync("#refusal:not(:empty)");
        await Page.FillAsync("#key", key);
        await Page.ClickAsync("#login button");
    }

    /// <summary>Shows the admin page and signs in.</summary>
    public async Task SignInAsync(ServedDashboard served, string key)
    {
        await Page.GotoAsync($"{served.Admin}dashboard");
        await Page.FillAsync("#key", key);
        await Page.ClickAsync("#login button");
        await Page.WaitForSelectorAsync("#cells article");
        await Page.WaitForSelectorAsync("#keys tr");
    }

    /// <summary>Presses a button by its name, and in the dialog that asks then the one that does it; gives what the dialog said.</summary>
    public async Task<string> ConfirmAsync(string button)
    {
        await Page.ClickAsync($"button[aria-label='{button}']");
        return await AgreeAsync();
    }

    public async Task<string> AgreeAsync()
    {
        await Page.WaitForSelectorAsync("#confirm[open]");
        string text = await Page.InnerTextAsync("#confirm");
        await Page.ClickAsync("#confirm-yes");
        return text;
    }

    /// <summary>Waits for the line in which the page says what came of a change.</summary>
    public Task SaysAsync(string text) => Page.WaitForSelectorAsync($"#state:has-text(\"{text}\")");

    /// <summary>Violations of the kinds serious and critical, as "rule: element".</summary>
    public async Task<string[]> ViolationsAsync(string axe)
    {
        // Evaluated from outside: the page's own policy lets no foreign script in.
        await Page.EvaluateAsync(axe + "; undefined");
        JsonElement found = await Page.EvaluateAsync<JsonElement>(
            "axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations.filter(one => one.impact === 'serious' || one.impact === 'critical')"
            + ".flatMap(one => one.nodes.map(node => `${one.id}: ${node.html}`)))");
        return [.. found.EnumerateArray().Select(one => one.GetString()!)];
    }

    /// <summary>Kept with the results of the tests, whole or only its top.</summary>
    public Task KeepAsync(string name, int? height = null) => Page.ScreenshotAsync(new()
    {
        Path = Path.Combine(Repository.Root, "artifacts", "test-results", name),
        FullPage = true,
        Clip = height is { } top ? new() { X = 0, Y = 0, Width = Page.ViewportSize!.Width, Height = top } : null,
    });

    public async ValueTask DisposeAsync()
    {
        await _context.DisposeAsync();
        Assert.True(_complaints.Count == 0, string.Join('\n', _complaints.Distinct()));
    }
}
