using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

public sealed partial class LoadUnloadTests(ITestOutputHelper output)
{
    private const string Model = "tiny";
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    /// <summary>
    /// One model is unloaded and another loaded under the same name, over and over, while every endpoint that uses its weights, its vocabulary or its template is called: each call gets what one of the two
    /// models answers, and no process ends.
    /// </summary>
    [Trait("Attack", "C9")]
    [Fact]
    public async Task Model_ReplacedOverAndOver_AnswersEveryCallAllTheWhile()
    {
        using TemporaryFolder folder = new();
        byte[] one = await File.ReadAllBytesAsync(Repository.File("models/lamina-tiny-q8_0.gguf")), two = [.. one];
        for (int i = two.Length - 300_000; i < two.Length; i += 34)
        {
            two[i] ^= 1;
        }

        string source = Path.Combine(folder.Path, "model.gguf"), store = Path.Combine(folder.Path, "store"), configuration = Path.Combine(folder.Path, "serve.json");
        await File.WriteAllBytesAsync(source, one);
        await File.WriteAllTextAsync(configuration, new JsonObject
        {
            ["Serve"] = new JsonObject
            {
                ["Listen"] = "127.0.0.1:0", ["StorePath"] = store, ["Admin"] = new JsonObject { ["Listen"] = "127.0.0.1:0" },
                ["Tenants"] = new JsonArray(new JsonObject { ["Tenant"] = "acme", ["Nodes"] = 1, ["Threads"] = 1, ["Models"] = new JsonArray(new JsonObject { ["Name"] = Model, ["Path"] = source }) }),
            },
        }.ToJsonString());
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", configuration);
        string line = await serve.WaitForLineAsync("API at", TimeSpan.FromSeconds(240));
        using HttpClient http = Client(Address().Match(line).Value, await KeyAsync("acme", "--scope", "inference,usage", "--store", store));
        using HttpClient admin = Client(AdminAddress().Match(line).Groups[1].Value, await KeyAsync("--operator", "--store", store));
        int[] processes = [.. ProcessTable.Children(serve.Id).Append(serve.Id)];

        var expected = new Dictionary<string, HashSet<string>>();
        foreach (string name in s_calls.Keys)
        {
            expected[name] = [await CallAsync(http, name)];
        }

        await ReplaceAsync(admin, source, two);
        foreach (string name in s_calls.Keys)
        {
            expected[name].Add(await CallAsync(http, name));
        }

        Assert.Equal(2, expected["completion"].Count);
        Assert.All(expected.Values, answers => Assert.All(answers, answer => Assert.StartsWith("200 ", answer, StringComparison.Ordinal)));

        var calls = new ConcurrentDictionary<string, int>();
        var wrong = new ConcurrentQueue<string>();
        var time = Stopwatch.StartNew();
        TimeSpan span = TimeSpan.FromSeconds(AttackScale.Cases(8, 60));
        int replaced = 0;
        Task[] callers = [.. s_calls.Keys.Select(name => Task.Run(async () =>
        {
            while (time.Elapsed < span && wrong.IsEmpty)
            {
                string answer = await CallAsync(http, name);
                calls.AddOrUpdate(name, 1, (_, count) => count + 1);
                if (!expected[name].Contains(answer))
                {
                    wrong.Enqueue($"{name}: {answer}");
                }
            }
        }))];
        while (time.Elapsed < span && wrong.IsEmpty)
        {
            await ReplaceAsync(admin, source, replaced++ % 2 == 0 ? one : two);
        }

        await Task.WhenAll(callers).WaitAsync(s_limit);
        output.WriteLine($"{replaced} times replaced in {time.Elapsed.TotalSeconds:0} s; {string.Join(", ", calls.OrderBy(call => call.Key).Select(call => $"{call.Key} {call.Value}"))}");
        Assert.True(wrong.IsEmpty, $"{string.Join('\n', wrong.Take(5))}\n{serve.Error}");
        Assert.True(replaced >= AttackScale.Cases(1, 4), $"the model was replaced only {replaced} times");
        Assert.All(s_calls.Keys, name => Assert.True(calls[name] > 0));
        Assert.All(processes, id => Assert.True(ProcessTable.IsAlive(id)));
        Assert.DoesNotContain("Exception", serve.Error, StringComparison.Ordinal);
    }

    private static readonly Dictionary<string, (string Route, JsonObject? Body)> s_calls = new()
    {
        ["chat"] = ("v1/chat/completions", new() { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "What is 27 + 15?" }), ["max_tokens"] = 12, ["temperature"] = 0 }),
        ["stream"] = ("v1/completions", new() { ["prompt"] = "Once upon a time", ["max_tokens"] = 48, ["min_tokens"] = 48, ["temperature"] = 0, ["stream"] = true }),
        ["completion"] = ("v1/completions", new() { ["prompt"] = "Once upon a time", ["max_tokens"] = 2, ["temperature"] = 0, ["logprobs"] = 1 }),
        ["grammar"] = ("v1/completions", new() { ["prompt"] = "Once", ["max_tokens"] = 8, ["temperature"] = 0, ["grammar"] = "root ::= [a-z ]+" }),
        ["response"] = ("v1/responses", new() { ["input"] = "What is 27 + 15?", ["max_output_tokens"] = 12, ["temperature"] = 0, ["store"] = false }),
        ["tokenize"] = ("tokenize", new() { ["content"] = "Once upon a time there was a little girl" }),
        ["detokenize"] = ("detokenize", new() { ["tokens"] = new JsonArray(5, 6, 7, 8) }),
        ["template"] = ("apply-template", new() { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hello" }) }),
        ["models"] = ("v1/models/" + Model, null),
    };

    /// <summary>Status and what was answered, without what is another each time.</summary>
    private static async Task<string> CallAsync(HttpClient http, string name)
    {
        (string route, JsonObject? body) = s_calls[name];
        JsonObject? asked = body?.DeepClone().AsObject();
        if (asked is not null)
        {
            asked["model"] = Model;
        }

        using HttpResponseMessage response = asked is null ? await http.GetAsync(route) : await http.PostAsJsonAsync(route, asked);
        string text = await response.Content.ReadAsStringAsync();
        if (text.StartsWith("data: {", StringComparison.Ordinal))
        {
            // Where a stream is cut into events is another each time.
            text = string.Concat(text.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line == "data: [DONE]" ? "[DONE]" : TextOf(JsonNode.Parse(line[6..])!)));
        }

        return $"{(int)response.StatusCode} {Varying().Replace(text, "")}";
    }

    private static string TextOf(JsonNode item) => item["choices"] is JsonArray { Count: > 0 } choices ? choices[0]!["text"]!.GetValue<string>() : item.ToJsonString();

    /// <summary>Writes the file, has its model loaded in the place of the one that serves, and waits until it serves.</summary>
    private static async Task ReplaceAsync(HttpClient admin, string source, byte[] model)
    {
        int epoch = await EpochAsync(admin);
        await File.WriteAllBytesAsync(source + ".new", model);
        File.Move(source + ".new", source, overwrite: true);
        using HttpResponseMessage response = await admin.PostAsync($"admin/cells/acme/deployments/{Model}/roll", null);
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync());
        await Eventually.TrueAsync(async () => await EpochAsync(admin) > epoch, s_limit, "the model was never replaced");
    }

    private static async Task<int> EpochAsync(HttpClient admin)
    {
        JsonNode cells = JsonNode.Parse(await admin.GetStringAsync("admin/cells"))!;
        return cells["data"]![0]!["deployments"]![0]!["epoch"]!.GetValue<int>();
    }

    private static async Task<string> KeyAsync(params string[] arguments)
    {
        using LaminaProcess create = await LaminaProcess.RunAsync(s_limit, ["key", "create", .. arguments]);
        Assert.True(create.ExitCode == 0, create.Error);
        return Key().Match(create.Output).Value;
    }

    private static HttpClient Client(string address, string key) =>
        new() { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(3), DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };

    [GeneratedRegex("http://[0-9.:]+/")]
    private static partial Regex Address();

    [GeneratedRegex("admin listener at (http://[0-9.:]+/)")]
    private static partial Regex AdminAddress();

    [GeneratedRegex("lam_[0-9A-Za-z_-]+")]
    private static partial Regex Key();

    /// <summary>Ids, times, speeds, and what the prefix cache had.</summary>
    [GeneratedRegex("\"(?:id|created|created_at|completed_at|timings|cached_tokens|system_fingerprint|digest|sha256)\":(?:\"[^\"]*\"|[0-9.]+|\\{[^}]*\\})")]
    private static partial Regex Varying();
}
