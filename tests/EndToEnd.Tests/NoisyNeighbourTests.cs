using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>
/// One tenant asks for fifty times its share of a coordinator that another uses as well. It gets refusals, and the other hardly notices. How little can only be said on a machine with
/// nothing else to do: there <c>./test --attack-board</c>, or <c>LAMINA_NOISY_NEIGHBOUR=1</c>, takes a model of 135 million weights, lets the neighbour ask sixty times its share, measures alone and beside it in turns, so
/// that whatever else the machine does falls on both, gives the two tenants' nodes a core each, as they have machines of their own elsewhere, and holds the figures to 1.2 times those without the neighbour; then it tells how the tenant fares beside one that asks as fast as
/// it can. LAMINA_NOISY_MODEL names another model file.
/// </summary>
[Trait("Attack", "R1")]
[Collection(nameof(AloneInTheProcess))]
public sealed partial class NoisyNeighbourTests(ITestOutputHelper output)
{
    private const string Model = "tiny";
    private const string Loud = "loud";
    private const string Quiet = "quiet";
    private const int RequestsPerMinute = 60, TimesTheShare = 60;

    private static readonly bool s_full = AttackScale.IsFull || Environment.GetEnvironmentVariable("LAMINA_NOISY_NEIGHBOUR") == "1";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(240);

    [Fact]
    public async Task Flood_ByOneTenant_IsRefusedAndLeavesTheOtherItsLatency()
    {
        using TemporaryFolder folder = new();
        string store = Path.Combine(folder.Path, "store"), file = Path.Combine(folder.Path, "serve.json");
        object[] models = [new { Name = Model, Path = await ModelFileAsync(folder) }];
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new { Listen = "127.0.0.1:0", StorePath = store, Tenants = new[] { Loud, Quiet }.Select(tenant => new { Tenant = tenant, Nodes = 1, Threads = 1, Models = models }) },
        }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        string api = Address().Match(await serve.WaitForLineAsync("API at", s_limit)).Value;
        using HttpClient loud = await KeyedClient.CreateAsync(store, api, Loud, s_limit, "--scope", "inference,usage");
        using HttpClient quiet = await KeyedClient.CreateAsync(store, api, Quiet, s_limit, "--scope", "inference,usage");
        LaminaProcess set = await LaminaProcess.RunAsync(s_limit, "quota", "set", Loud, $$"""{"requestsPerMinute":{{RequestsPerMinute}},"concurrentGenerations":2,"queueLength":2}""", "--store", store);
        Assert.True(set.ExitCode == 0, set.Error);
        await Eventually.TrueAsync(
            async () =>
            {
                using HttpResponseMessage response = await loud.PostAsJsonAsync("v1/completions", Request(1, stream: false));
                return response.Headers.Contains("x-ratelimit-limit-requests");
            },
            s_limit, "the quota was never in force");

        if (s_full)
        {
            PinNodes(serve.Id);
        }

        // A 95th percentile of two hundred first tokens varies by a tenth from run to run, with nobody beside it.
        (int pacedRounds, int rounds, int streams) = s_full ? (100, 20, 5) : (0, 4, 10);
        await MeasureAsync(quiet, 3, new Latencies());
        long before = Resident(serve);
        if (s_full)
        {
            Comparison paced = await CompareAsync(loud, quiet, pacedRounds, streams, TimesTheShare * RequestsPerMinute / 60.0);
            output.WriteLine($"asking {TimesTheShare} times its share: {paced}");
            Assert.True(paced.Times >= 50, $"the flood was only {paced.Times:0} times the share");
            Assert.True(paced.Beside.FirstToken <= 1.2 * paced.Solo.FirstToken && paced.Beside.BetweenTokens <= 1.2 * paced.Solo.BetweenTokens, $"the quiet tenant's latency suffered: {paced}");
        }

        Comparison comparison = await CompareAsync(loud, quiet, rounds, streams, perSecond: null);
        output.WriteLine($"asking as fast as it can: {comparison}");
        long after = Resident(serve);
        output.WriteLine($"memory grew by {(after - before) >> 20} MiB");
        Assert.True(after - before < 96L << 20, $"memory grew by {(after - before) >> 20} MiB");

        // On two cores that others use as well the clients of the flood alone take one of them.
        Assert.True(comparison.Beside.BetweenTokens <= (8 * comparison.Solo.BetweenTokens) + 250, "the quiet tenant hardly gets any tokens");
    }

    /// <summary>Times of the quiet tenant in milliseconds.</summary>
    private sealed class Latencies
    {
        public List<double> FirstTokens { get; } = [];
        public List<double> BetweenAllTokens { get; } = [];

        public double FirstToken => Percentile(FirstTokens, 0.95);
        public double BetweenTokens => Percentile(BetweenAllTokens, 0.95);

        public override string ToString() =>
            $"first token {Percentile(FirstTokens, 0.5):0.0} ms (p95 {FirstToken:0.0}), between tokens {Percentile(BetweenAllTokens, 0.5):0.00} ms (p95 {BetweenTokens:0.00})";
    }

    /// <param name="Times">How often its share the loud tenant asked for.</param>
    private sealed record Comparison(Latencies Solo, Latencies Beside, double Times, int Served, int Refused)
    {
        public override string ToString() =>
            $"{Times:0} times the share, {Served} served, {Refused} refused; alone {Solo}; beside {Beside}; p95 {Beside.FirstToken / Solo.FirstToken:0.00} and {Beside.BetweenTokens / Solo.BetweenTokens:0.00} times";
    }

    /// <summary>Streams of the quiet tenant, in turns alone and beside the flood.</summary>
    /// <param name="perSecond">What the loud tenant asks for; null = as much as it can.</param>
    private static async Task<Comparison> CompareAsync(HttpClient loud, HttpClient quiet, int rounds, int streams, double? perSecond)
    {
        Latencies solo = new(), beside = new();
        var flood = new Flood(loud, perSecond);
        for (int round = 0; round < rounds; round++)
        {
            await MeasureAsync(quiet, streams, solo);
            using var stop = new CancellationTokenSource();
            int refused = flood.Refused;
            Task running = flood.RunAsync(stop.Token);
            await Eventually.TrueAsync(() => flood.Refused > refused + 10 || running.IsCompleted, s_limit, "the flood was never refused");
            await MeasureAsync(quiet, streams, beside);
            await stop.CancelAsync();
            await running;
        }

        // It may have what a minute holds at once, and then what comes in.
        Assert.True(flood.Refused > 0 && flood.Served <= RequestsPerMinute + (flood.Elapsed.TotalSeconds * RequestsPerMinute / 60) + 4, $"{flood.Served} served in {flood.Elapsed}");
        return new Comparison(solo, beside, (flood.Served + flood.Refused) / flood.Active.TotalSeconds / (RequestsPerMinute / 60.0), flood.Served, flood.Refused);
    }

    /// <summary>Streams of the quiet tenant, one after the other.</summary>
    private static async Task MeasureAsync(HttpClient http, int streams, Latencies latencies)
    {
        for (int i = 0; i < streams; i++)
        {
            long last = Stopwatch.GetTimestamp();
            bool begun = false;
            using HttpRequestMessage request = new(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(Request(16, stream: true, number: i)) };
            using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data: {", StringComparison.Ordinal))
                {
                    (begun ? latencies.BetweenAllTokens : latencies.FirstTokens).Add(Stopwatch.GetElapsedTime(last).TotalMilliseconds);
                    (begun, last) = (true, Stopwatch.GetTimestamp());
                }
            }
        }
    }

    /// <summary>Four clients that never wait for the time they are told.</summary>
    private sealed class Flood(HttpClient http, double? perSecond)
    {
        private const int Clients = 4;
        private readonly long _begun = Stopwatch.GetTimestamp();
        private int _served, _refused;

        public int Served => Volatile.Read(ref _served);
        public int Refused => Volatile.Read(ref _refused);

        /// <summary>Since it was made, and of that the time in which it ran.</summary>
        public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_begun);
        public TimeSpan Active { get; private set; }

        public async Task RunAsync(CancellationToken stop)
        {
            long begun = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => AskAsync(client, stop)));
            Active += Stopwatch.GetElapsedTime(begun);
        }

        private async Task AskAsync(int client, CancellationToken stop)
        {
            long begun = Stopwatch.GetTimestamp();
            for (int asked = 0; !stop.IsCancellationRequested; asked++)
            {
                if (perSecond is { } rate)
                {
                    // Evenly, whatever the answers took.
                    TimeSpan due = TimeSpan.FromSeconds(((asked * Clients) + client) / rate) - Stopwatch.GetElapsedTime(begun);
                    await Task.Delay(due > TimeSpan.Zero ? due : TimeSpan.Zero, CancellationToken.None);
                }

                using HttpResponseMessage response = await http.PostAsJsonAsync("v1/completions", Request(s_full ? 2 : 8, stream: false), CancellationToken.None);
                if (response.StatusCode == HttpStatusCode.TooManyRequests)
                {
                    Assert.True(response.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
                    Interlocked.Increment(ref _refused);
                    await Task.Delay(perSecond is null ? 5 : 0, CancellationToken.None);
                }
                else
                {
                    Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                    Interlocked.Increment(ref _served);
                }
            }
        }
    }

    /// <summary>What the tenants share is the coordinator: their nodes compute on the last two cores, one each.</summary>
    private static void PinNodes(int serve)
    {
        foreach (int child in ProcessTable.Children(serve))
        {
            string command = ProcessTable.CommandLine(child);
            int core = command.Contains($"/{Loud}/", StringComparison.Ordinal) ? Environment.ProcessorCount - 1 : command.Contains($"/{Quiet}/", StringComparison.Ordinal) ? Environment.ProcessorCount - 2 : -1;
            if (core >= 0)
            {
                using Process pinned = Process.Start("taskset", ["--all-tasks", "--pid", "--cpu-list", $"{core}", $"{child}"]);
                pinned.WaitForExit();
                Assert.Equal(0, pinned.ExitCode);
            }
        }
    }

    private static async Task<string> ModelFileAsync(TemporaryFolder folder)
    {
        if (!s_full)
        {
            return Repository.File("models/lamina-tiny-q8_0.gguf");
        }

        if (Environment.GetEnvironmentVariable("LAMINA_NOISY_MODEL") is { } given)
        {
            return given;
        }

        string path = Path.Combine(folder.Path, "model.gguf");
        LaminaProcess made = await LaminaProcess.RunAsync(s_limit, "synth", path, "--shape", "smol-135m", "--type", "Q8_0");
        Assert.True(made.ExitCode == 0, made.Error);
        return path;
    }

    private static double Percentile(List<double> values, double part)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(int)(part * (sorted.Length - 1))];
    }

    private static JsonObject Request(int tokens, bool stream, int number = 0) => new()
    {
        ["model"] = Model, ["prompt"] = $"What is {number} + 2?", ["temperature"] = 0, ["max_tokens"] = tokens, ["stream"] = stream, ["logit_bias"] = new JsonObject { ["2"] = -100 },
    };

    private static long Resident(LaminaProcess process)
    {
        using Process found = Process.GetProcessById(process.Id);
        return found.WorkingSet64;
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
