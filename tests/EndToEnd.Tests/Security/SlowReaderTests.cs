using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>
/// Many readers that ask for long answers and take none of them: they hold bounded memory, are cut at their deadline, and cost no other caller its answer. Of more than a coordinator lets
/// wait the rest is refused, and comes again when it was told to.
/// </summary>
public sealed partial class SlowReaderTests(ITestOutputHelper output)
{
    private const string Slow = "slow", Quiet = "quiet";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(240);

    [Trait("Attack", "R2")]
    [Fact]
    public async Task Readers_ThatTakeNothing_AreCutAndCostNobodyElseAnAnswer()
    {
        int readers = AttackScale.Cases(24, 1500);
        TimeSpan limit = s_limit + TimeSpan.FromSeconds(readers);
        using TemporaryFolder folder = new();
        string file = Path.Combine(folder.Path, "serve.json");
        object[] models = [new { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") }];
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                Tenants = new object[]
                {
                    new { Tenant = Slow, Nodes = 1, Threads = 1, Models = models, Streams = new { StallSeconds = 2 }, Quotas = new { Tenant = new { RequestsPerDay = 100_000 } } },
                    new { Tenant = Quiet, Nodes = 1, Threads = 1, Models = models },
                },
            },
        }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        string api = Address().Match(await serve.WaitForLineAsync("API at", s_limit)).Value;
        string slow = await serve.WaitForKeyAsync(Slow, s_limit), quiet = await serve.WaitForKeyAsync(Quiet, s_limit);
        using HttpClient slows = Client(api, slow), quiets = Client(api, quiet);
        string alone = await AnswerAsync(quiets);
        Assert.Equal(alone, await AnswerAsync(slows));

        // The quota of the one tenant's section is the one tenant's.
        Assert.True(await HasLimitAsync(slows));
        Assert.False(await HasLimitAsync(quiets));

        int[] processes = [serve.Id, .. ProcessTable.Children(serve.Id)];
        long before = processes.Sum(ProcessTable.ResidentBytes), most = before;
        var streams = new List<SlowStream>();
        int refused = 0;
        try
        {
            Task<SlowStream>[] opening = [.. Enumerable.Range(0, readers).Select(_ => OpenAsync())];
            long begun = Stopwatch.GetTimestamp();

            // Whoever of the same tenant reads gets an answer, too, when those are refused that are too many.
            Task<string> beside = UntilTakenAsync(async () => await TryAnswerAsync(slows));
            while (await StalledAsync(slows) < readers)
            {
                Assert.True(Stopwatch.GetElapsedTime(begun) < limit, $"{await StalledAsync(slows)} of {readers} readers were cut in {limit.TotalSeconds} s, {refused} refused\n{serve.Error}");
                Assert.DoesNotContain(opening, task => task.IsFaulted);
                Assert.Equal(alone, await AnswerAsync(quiets));
                most = Math.Max(most, processes.Sum(ProcessTable.ResidentBytes));
            }

            Assert.Equal(alone, await beside);
            streams.AddRange(await Task.WhenAll(opening));
            output.WriteLine($"{readers} readers cut within {Stopwatch.GetElapsedTime(begun).TotalSeconds:0.0} s, {refused} times refused before; memory grew by {(most - before) >> 20} MiB at most");
            foreach (SlowStream stream in streams)
            {
                Assert.False(await stream.ReadsToItsEndAsync());
            }
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
        }

        Task<SlowStream> OpenAsync() => UntilTakenAsync(() => SlowStream.TryOpenAsync(api, slow, choices: 1, tokens: 200));

        // As the answer's Retry-After says.
        async Task<T> UntilTakenAsync<T>(Func<Task<T?>> ask) where T : class
        {
            while (true)
            {
                if (await ask() is { } taken)
                {
                    return taken;
                }

                Interlocked.Increment(ref refused);
                await Task.Delay(TimeSpan.FromSeconds(2));
            }
        }

        Assert.True(most - before < (96L << 20) + (readers * (1L << 20)), $"memory grew by {(most - before) >> 20} MiB");
        Assert.Equal(alone, await AnswerAsync(quiets));
        Assert.DoesNotContain("a request failed", serve.Error, StringComparison.Ordinal);
    }

    private static async Task<string> AnswerAsync(HttpClient http) => await TryAnswerAsync(http) ?? throw new InvalidOperationException("the request was refused");

    /// <summary>Null where the server has as many requests as it takes and refuses this one.</summary>
    private static async Task<string?> TryAnswerAsync(HttpClient http)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("v1/completions", new { model = "tiny", prompt = "What is 27 + 15?", max_tokens = 16, temperature = 0 });
        string text = await response.Content.ReadAsStringAsync();
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            return null;
        }

        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["choices"]![0]!["text"]!.GetValue<string>();
    }

    private static async Task<bool> HasLimitAsync(HttpClient http)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("tokenize", new { model = "tiny", content = "a" });
        Assert.True(response.IsSuccessStatusCode);
        return response.Headers.Contains("x-ratelimit-limit-requests");
    }

    private static async Task<int> StalledAsync(HttpClient http)
    {
        Match count = Stalled().Match(await http.GetStringAsync("metrics"));
        return count.Success ? int.Parse(count.Groups[1].Value, CultureInfo.InvariantCulture) : 0;
    }

    private static HttpClient Client(string api, string key) => new()
    {
        BaseAddress = new Uri(api),
        Timeout = TimeSpan.FromMinutes(3),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) },
    };

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();

    [GeneratedRegex("lamina_stalled_readers_total\\{tenant=\"slow\"\\} ([0-9]+)")]
    private static partial Regex Stalled();
}
