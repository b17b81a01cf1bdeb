using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Two tenants behind one coordinator: what one sends or holds is nowhere in what the other gets.</summary>
public sealed partial class TenantBorderTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    /// <summary>The same model file for both, and no memory, file or process in common.</summary>
    [Trait("Attack", "S1")]
    [Fact]
    public async Task Model_OfBothTenants_IsSharedByNoProcessMappingOrFile()
    {
        await tenants.CompleteAsync(TwoTenants.Acme, "one");
        await tenants.CompleteAsync(TwoTenants.Globex, "one");
        int[] nodes = [.. ProcessTable.Children(tenants.Process.Id).Where(id => ProcessTable.CommandLine(id).Contains(" node ", StringComparison.Ordinal))];
        Assert.Equal(2, nodes.Length);
        string[][] mapped = [.. nodes.Select(MappedTensors)];
        Assert.Empty(mapped[0].Intersect(mapped[1]));
        string[] homes = [.. nodes.Select(id => Home().Match(ProcessTable.CommandLine(id)).Value)];
        string[][] caches = [.. homes.Select(home => Directory.GetFiles(home, "sha256-*", SearchOption.AllDirectories))];
        Assert.All(caches, files => Assert.NotEmpty(files));
        Assert.NotEqual(Path.GetDirectoryName(caches[0][0]), Path.GetDirectoryName(caches[1][0]));
        Assert.Empty(caches[0].Select(Inode).Intersect(caches[1].Select(Inode)));
        Assert.All(caches.SelectMany(files => files), file => Assert.Equal((UnixFileMode)0, File.GetUnixFileMode(file) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.UserWrite)));
    }

    /// <summary>The report of a caller with both tenants' keys and nothing else: what one has in its cache, the other does not find there.</summary>
    [Trait("Attack", "E1")]
    [Trait("Attack", "I5")]
    [Fact]
    public async Task Report_FromBothTenantsKeys_FindsNothingInTheOthersCache()
    {
        using TemporaryFolder folder = new();
        var arguments = new List<string> { "verify-isolation", "--json", "--api", tenants.Address.ToString() };
        foreach ((string tenant, string key) in tenants.Keys)
        {
            string file = Path.Combine(folder.Path, tenant);
            await File.WriteAllTextAsync(file, key);
            arguments.AddRange(["--key", $"{tenant}={file}"]);
        }

        using LaminaProcess report = await LaminaProcess.RunAsync(TimeSpan.FromMinutes(4), [.. arguments]);
        Assert.True(report.ExitCode == 0, report.Output + report.Error);
        JsonNode[] caches = [.. JsonNode.Parse(report.Output)!["crossings"]!.AsArray().Where(crossing => crossing!["what"]!.GetValue<string>() == "the cache of a prompt").Select(crossing => crossing!)];
        string[] ids = [.. JsonNode.Parse(report.Output)!["crossings"]!.AsArray().Where(crossing => crossing!["what"]!.GetValue<string>().Contains("{id} of globex", StringComparison.Ordinal)).Select(crossing => $"{crossing!["what"]} {crossing["result"]}")];
        Assert.Equal(
            ["GET /v1/files", "DELETE /v1/files", "GET /v1/responses", "DELETE /v1/responses", "DELETE /v1/generations"], ids.Select(id => id.Replace("/{id} of globex held", "", StringComparison.Ordinal)));
        Assert.Equal(["acme globex held", "globex acme held"], caches.Select(crossing => $"{crossing["from"]} {crossing["into"]} {crossing["result"]}").Order());
    }

    [Trait("Attack", "E3")]
    [Trait("Attack", "P1")]
    [Fact]
    public async Task Secret_OfOneTenant_IsInNothingThatTheOtherIsSent()
    {
        string secret = "zebra" + Guid.NewGuid().ToString("N");
        JsonObject body = TwoTenants.Completion(TwoTenants.Acme, $"My secret is {secret}. My secret is", 24);
        body["user"] = secret;
        using (var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(body) })
        {
            request.Headers.Add("Idempotency-Key", secret);
            using HttpResponseMessage kept = await tenants[TwoTenants.Acme].SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
        }

        HttpClient other = tenants[TwoTenants.Globex];
        var seen = new List<string>();
        foreach (string route in new[] { "", "status.json", "metrics", "v1/models", "health/ready", $"v1/models/{TwoTenants.ModelOf(TwoTenants.Acme)}" })
        {
            seen.Add(await (await other.GetAsync(route)).Content.ReadAsStringAsync());
        }

        // A key made of the same secret, and the same words: a fresh answer, by the other tenant's own model.
        JsonObject theirs = TwoTenants.Completion(TwoTenants.Globex, "My secret is", 24);
        using (var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(theirs) })
        {
            request.Headers.Add("Idempotency-Key", secret);
            using HttpResponseMessage answer = await other.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            seen.Add(await answer.Content.ReadAsStringAsync());
        }

        seen.Add(await (await other.PostAsJsonAsync("v1/completions", new { model = "no-such-model", prompt = "x" })).Content.ReadAsStringAsync());
        Assert.All(seen, text => Assert.DoesNotContain(secret, text, StringComparison.Ordinal));
        Assert.All(seen, text => Assert.DoesNotContain(TwoTenants.ModelOf(TwoTenants.Acme), text.Replace($"models/{TwoTenants.ModelOf(TwoTenants.Acme)}", "", StringComparison.Ordinal), StringComparison.Ordinal));
        Assert.DoesNotContain(secret, tenants.Process.Error + tenants.Process.Output, StringComparison.Ordinal);
    }

    /// <summary>A field that would bring the caller's own template is refused by name on every route that takes a body; a new route that does not is found here.</summary>
    [Trait("Attack", "C3")]
    [Theory]
    [InlineData("v1/chat/completions")]
    [InlineData("v1/completions")]
    [InlineData("v1/embeddings")]
    [InlineData("v1/rerank")]
    [InlineData("v1/responses")]
    [InlineData("tokenize")]
    [InlineData("detokenize")]
    [InlineData("apply-template")]
    public async Task Route_WithATemplateOfTheCaller_RefusesTheField(string route)
    {
        foreach ((string field, JsonNode value) in new (string, JsonNode)[]
        {
            ("chat_template", "{{ messages }}"), ("tokenize", true), ("frobnicate", 1),
        })
        {
            JsonObject body = new()
            {
                ["model"] = TwoTenants.ModelOf(TwoTenants.Acme),
                [field] = value.DeepClone(),
            };
            body[route switch
            {
                "v1/chat/completions" or "apply-template" => "messages",
                "v1/completions" => "prompt",
                "tokenize" => "content",
                "detokenize" => "tokens",
                "v1/rerank" => "query",
                _ => "input",
            }] = route switch
            {
                "v1/chat/completions" or "apply-template" => new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "hi" }),
                "detokenize" => new JsonArray(1),
                _ => "hi",
            };
            if (route == "v1/rerank")
            {
                body["documents"] = new JsonArray("a");
            }

            (int status, JsonNode? error) = await tenants[TwoTenants.Acme].RefusedAsync(JsonContent.Create(body), route);
            Assert.Equal((400, field), (status, error?["param"]?.GetValue<string>()));
        }
    }

    /// <summary>Variables for the template are the caller's, but for those that carry the conversation: those stay the server's.</summary>
    [Trait("Attack", "C3")]
    [Fact]
    public async Task TemplateVariables_NamedLikeTheServers_ChangeNothing()
    {
        JsonObject Body(JsonObject? variables)
        {
            JsonObject body = new() { ["model"] = TwoTenants.ModelOf(TwoTenants.Acme), ["messages"] = ChatApi.User("What is 27 + 15?") };
            if (variables is not null)
            {
                body["chat_template_kwargs"] = variables;
            }

            return body;
        }

        async Task<string> PromptAsync(JsonObject body)
        {
            using HttpResponseMessage response = await tenants[TwoTenants.Acme].PostAsJsonAsync("apply-template", body);
            return await response.Content.ReadAsStringAsync();
        }

        string plain = await PromptAsync(Body(null));
        Assert.Contains("What is 27", plain, StringComparison.Ordinal);
        Assert.Equal(plain, await PromptAsync(Body(new JsonObject
        {
            ["messages"] = new JsonArray(), ["tools"] = new JsonArray(1), ["documents"] = "x", ["add_generation_prompt"] = false, ["bos_token"] = "<evil>", ["eos_token"] = "<evil>",
            ["tokenize"] = true, ["chat_template"] = "evil", ["raise_exception"] = "x", ["range"] = 1,
        })));
    }

    /// <summary>What servers restore from callers was a way in elsewhere; here there is no such door.</summary>
    [Trait("Attack", "A14")]
    [Theory]
    [InlineData("slots/0?action=restore")]
    [InlineData("slots/0?action=save")]
    [InlineData("v1/kv/import")]
    [InlineData("v1/load_lora_adapter")]
    [InlineData("lora-adapters")]
    public async Task State_OfferedByACaller_HasNoRoute(string route)
    {
        using HttpResponseMessage response = await tenants[TwoTenants.Acme].PostAsJsonAsync(route, new { filename = "../../etc/passwd" });
        Assert.Contains(response.StatusCode, new[] { HttpStatusCode.NotFound, HttpStatusCode.Forbidden, HttpStatusCode.MethodNotAllowed });
    }

    /// <summary>No body of a refusal shows where things lie, what address they have, or what was asked.</summary>
    [Trait("Attack", "C10")]
    [Fact]
    public async Task Refusals_OfEveryKind_ShowNoPathAddressOrPrompt()
    {
        string secret = "canary" + Guid.NewGuid().ToString("N");
        HttpClient http = tenants[TwoTenants.Acme];
        string model = TwoTenants.ModelOf(TwoTenants.Acme);
        (string Route, string Body)[] bad =
        [
            ("v1/completions", $$"""{"model":"{{model}}","prompt":"{{secret}}","temperature":"{{secret}}"}"""),
            ("v1/completions", $$"""{"model":"{{model}}","prompt":"{{secret}}" "x":1}"""),
            ("v1/completions", $$"""{"model":"{{secret}}","prompt":"{{secret}}"}"""),
            ("v1/completions", $$"""{"model":"{{model}}","prompt":"{{secret}}","max_tokens":-1}"""),
            ("v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"{{secret}}","content":"{{secret}}"}]}"""),
            ("v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"{{secret}}"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"{{secret}}"} } } }"""),
            ("v1/embeddings", $$"""{"model":"{{model}}","input":"{{secret}}"}"""),
            ("tokenize", $$"""{"model":"{{model}}","content":["{{secret}}"]}"""),
            ("no/such/route", $$"""{"prompt":"{{secret}}"}"""),
        ];
        foreach ((string route, string body) in bad)
        {
            using HttpResponseMessage response = await http.PostAsync(route, new StringContent(body, System.Text.Encoding.UTF8, "application/json"));
            string text = await response.Content.ReadAsStringAsync();
            Assert.InRange((int)response.StatusCode, 400, 499);
            Assert.DoesNotMatch(@"0x[0-9a-fA-F]{6,}|/tmp/|/home/|/usr/|/proc/|   at |Lamina\.|System\.", text);
            if (route is not "v1/chat/completions")
            {
                Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
            }
        }

        Assert.DoesNotContain(secret, tenants.Process.Error + tenants.Process.Output, StringComparison.Ordinal);
    }

    /// <summary>Liveness is cheap: a flood of it neither cuts nor changes an answer that streams meanwhile.</summary>
    [Trait("Attack", "R4")]
    [Fact]
    public async Task Liveness_FloodedDuringAStream_LeavesTheAnswerAsItIs()
    {
        string alone = await tenants.CompleteAsync(TwoTenants.Acme, "Once upon a time", 64);
        using var flooding = new CancellationTokenSource();
        using var open = new HttpClient { BaseAddress = tenants.Address };
        int answered = 0;
        Task[] flood = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (!flooding.IsCancellationRequested)
            {
                using HttpResponseMessage live = await open.GetAsync("health/live");
                Assert.Equal(HttpStatusCode.OK, live.StatusCode);
                Interlocked.Increment(ref answered);
            }
        }))];
        for (int i = 0; i < AttackScale.Cases(3, 30); i++)
        {
            Assert.Equal(Text(alone), Text(await tenants.CompleteAsync(TwoTenants.Acme, "Once upon a time", 64)));
        }

        await Eventually.TrueAsync(() => Volatile.Read(ref answered) > AttackScale.Cases(500, 50_000), TimeSpan.FromSeconds(180), "the flood is no flood");
        await flooding.CancelAsync();
        await Task.WhenAll(flood);
    }

    private static string Text(string answer) => JsonNode.Parse(answer)!["choices"]![0]!["text"]!.GetValue<string>();

    private static string[] MappedTensors(int processId) =>
        [.. File.ReadLines($"/proc/{processId}/maps").Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields.Length >= 6 && (fields[5].Contains("sha256-", StringComparison.Ordinal) || fields[5].EndsWith(".gguf", StringComparison.Ordinal))).Select(fields => fields[4])];

    private static string Inode(string path)
    {
        (int code, string text, _) = Tools.Run("stat", "-c", "%i", path);
        Assert.Equal(0, code);
        return text.Trim();
    }

    [GeneratedRegex(@"/\S+/nodes/[a-z]+")]
    private static partial Regex Home();
}
