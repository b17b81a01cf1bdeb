using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>What the dashboard costs: bytes, time to the first paint, the coordinator's processor.</summary>
[Collection(ServedDashboards.Name)]
public sealed partial class DashboardCostTests(ServedDashboard served, Chromium chromium, ITestOutputHelper output)
{
    private const double TicksPerSecond = 100;

    [Theory]
    [InlineData("dashboard")]
    [InlineData("tenant")]
    public async Task Page_WithAllItLoads_WeighsUnder300Kilobytes(string page)
    {
        Uri server = page == "dashboard" ? served.Admin : served.Front;
        foreach (string encoding in (string[])["identity", "gzip", "br"])
        {
            using HttpClient http = new(new HttpClientHandler { AutomaticDecompression = DecompressionMethods.None }) { BaseAddress = server, DefaultRequestHeaders = { { "Accept-Encoding", encoding } } };
            using HttpClient plain = new() { BaseAddress = server };
            string html = await plain.GetStringAsync(page);
            string[] files = [page, .. References().Matches(html).Select(match => match.Groups[1].Value)];
            Assert.True(files.Length >= 5, string.Join(' ', files));
            Assert.DoesNotContain("http", html, StringComparison.Ordinal);
            Assert.DoesNotMatch("<script>|\\sstyle=|\\son[a-z]+=", html);
            long bytes = 0;
            foreach (string file in files)
            {
                using HttpResponseMessage response = await http.GetAsync(file);
                Assert.Equal(encoding == "identity" ? [] : [encoding], response.Content.Headers.ContentEncoding);
                string policy = response.Headers.GetValues("Content-Security-Policy").Single();
                Assert.Contains("default-src 'none'; script-src 'self';", policy, StringComparison.Ordinal);
                Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
                bytes += (await response.Content.ReadAsByteArrayAsync()).Length + response.Headers.ToString().Length + response.Content.Headers.ToString().Length;
            }

            Assert.Contains(files, file => file.EndsWith("/uPlot.iife.min.js", StringComparison.Ordinal));
            output.WriteLine($"{page}: {files.Length} files, {encoding}: {bytes} bytes with headers");
            Assert.InRange(bytes, 1000, encoding == "identity" ? 300_000 : 100_000);
        }
    }

    [Fact]
    public async Task Page_InABrowser_LoadsLittleAndPaintsSoon()
    {
        await using WatchedPage watched = await chromium.OpenAsync();
        ICDPSession network = await watched.Page.Context.NewCDPSessionAsync(watched.Page);
        double received = 0;
        network.Event("Network.loadingFinished").OnEvent += (_, finished) => received += finished!.Value.GetProperty("encodedDataLength").GetDouble();
        await network.SendAsync("Network.enable");
        await watched.SignInAsync(served, served.OperatorKey);
        await watched.Page.ReloadAsync();
        await watched.Page.WaitForSelectorAsync("#keys tr");
        double paint = await watched.Page.EvaluateAsync<double>("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()");

        // On a machine that does nothing else it is well under a second; one that does may take its time.
        output.WriteLine($"signed in and loaded twice, lists and all: {received:0} bytes; first contentful paint after {paint:0} ms");
        Assert.InRange(received, 1000, 600_000);
        Assert.InRange(paint, 1, 15_000);
    }

    /// <summary>
    /// Intervals with and without an open stream in turn, of the coordinator's process alone. The bound of 2 % of a core is for the long run (LAMINA_TEST_LONG=1), whose median tells a percent;
    /// a short one tells only whether a snapshot a second has become dear, by the pair of intervals in which least else was done.
    /// </summary>
    [Fact]
    public async Task Coordinator_WhileADashboardIsOpen_HardlyNoticesIt()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "processor time is read from /proc");
        bool isLong = Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1";
        (int rounds, TimeSpan interval, TimeSpan settling) = isLong ? (9, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(30)) : (3, TimeSpan.FromSeconds(1.5), TimeSpan.Zero);
        await Task.Delay(settling);
        var pairs = new List<(double Closed, double Open)>();
        int snapshots = 0;
        for (int round = 0; round < rounds; round++)
        {
            double closed = await ShareAsync(interval);
            using HttpClient http = new() { BaseAddress = served.Admin, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", served.OperatorKey) } };
            using HttpResponseMessage events = await http.GetAsync("dashboard/events", HttpCompletionOption.ResponseHeadersRead);
            using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
            Task<int> reading = ReadAsync(reader);
            pairs.Add((closed, await ShareAsync(interval)));
            events.Dispose();
            snapshots += await reading;
        }

        double[] costs = [.. pairs.Select(pair => pair.Open - pair.Closed).Order()];
        output.WriteLine($"shares of a core without and with a dashboard: {string.Join(", ", pairs.Select(pair => $"{pair.Closed:P1} {pair.Open:P1}"))}; median difference {costs[rounds / 2]:P2} ({snapshots} snapshots)");
        Assert.InRange(isLong ? costs[rounds / 2] : costs[0], -2, isLong ? 0.02 : 0.2);
    }

    private static async Task<int> ReadAsync(StreamReader reader)
    {
        int snapshots = 0;
        try
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                snapshots += line.StartsWith("data: ", StringComparison.Ordinal) ? 1 : 0;
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or HttpRequestException)
        {
            // Enough was read.
        }

        return snapshots;
    }

    /// <summary>Share of a core that the coordinator's process takes over the time that is watched.</summary>
    private async Task<double> ShareAsync(TimeSpan interval)
    {
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        double before = Seconds();
        await Task.Delay(interval);
        return (Seconds() - before) / System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>User and system time of the process: fields 14 and 15, of which the first two end with its name in parentheses.</summary>
    private double Seconds()
    {
        string[] fields = File.ReadAllText($"/proc/{served.ProcessId}/stat").Split(')')[^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    }

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex References();
}
