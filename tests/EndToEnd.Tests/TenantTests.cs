using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>Two tenants in one coordinator process with node processes of their own, administered by the command line while they serve.</summary>
public sealed partial class TenantTests
{
    private const string Model = "tiny";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task TwoTenants_OnOneCoordinator_AnswerAndAreAdministered()
    {
        using TemporaryFolder folder = new();
        string store = Path.Combine(folder.Path, "store"), file = Path.Combine(folder.Path, "serve.json");
        object[] models = [new { Name = Model, Path = Repository.File("models/lamina-tiny-q8_0.gguf") }];
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                StorePath = store,
                Admin = new { Listen = "127.0.0.1:0" },
                Tenants = new object[] { new { Tenant = "alpha", Nodes = 2, Models = models }, new { Tenant = "beta", Nodes = 1, Models = models } },
            },
        }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        string line = await serve.WaitForLineAsync("API at", s_limit);
        Assert.Equal(3, ProcessTable.Children(serve.Id).Length);
        string api = Address().Matches(line)[0].Value, admin = Address().Matches(line)[^1].Value;

        // Keys, made on the database of the running coordinator and through its admin listener.
        string alpha = await LaminaAsync("key", "create", "alpha", "--scope", "inference,usage", "--config", file);
        string operators = await LaminaAsync("key", "create", "--operator", "--store", store);
        Dictionary<string, string> asOperator = new() { ["LAMINA_ADMIN_KEY"] = operators };
        await Eventually.TrueAsync(async () => await StatusAsync(admin + "admin/me", operators) == HttpStatusCode.OK, s_limit, "the operator's key was never taken");
        string beta = await LaminaAsync(asOperator, "key", "create", "beta", "--url", admin);
        await Eventually.TrueAsync(async () => await StatusAsync(api + "v1/models", alpha) == HttpStatusCode.OK, s_limit, "the first key was never taken");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(api + "v1/models", beta));

        // Both answer, at the same time; each sees itself alone.
        using HttpClient alphas = Client(api, alpha), betas = Client(api, beta);
        JsonArray question = ChatApi.User("What is 27 + 15?");
        string[] answers = await Task.WhenAll(new[] { alphas, betas, alphas, betas }.Select(http => http.AnswerAsync(Chat(question.DeepClone()))));
        Assert.All(answers, answer => Assert.Contains("42", answer, StringComparison.Ordinal));
        JsonNode status = JsonNode.Parse(await alphas.GetStringAsync("status.json"))!;
        Assert.Equal(("alpha", 2), (status["tenant"]!.GetValue<string>(), status["nodes"]!.AsArray().Count));
        Assert.DoesNotContain("beta", await alphas.GetStringAsync("metrics"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(admin + "admin/keys", alpha));

        // A kept answer is its caller's alone.
        using HttpResponseMessage kept = await PostAsync(alphas, Chat(question.DeepClone()), "once");
        string generation = kept.Headers.GetValues("X-Lamina-Generation").Single();
        string other = await BodyAsync(betas, $"v1/generations/{generation}/events"), unknown = await BodyAsync(betas, "v1/generations/chatcmpl-00000000000000000000000000000000/events");
        Assert.StartsWith("404", other, StringComparison.Ordinal);
        Assert.Equal(unknown, other);

        // A revoked key ends its running streams within a second or so, and nobody else's.
        using SlowStream cut = await SlowStream.OpenAsync(api, alpha), whole = await SlowStream.OpenAsync(api, beta);
        await LaminaAsync("key", "revoke", alpha.Substring(4, 12), "--store", store);
        await Eventually.TrueAsync(async () => await StatusAsync(api + "v1/models", alpha) == HttpStatusCode.Unauthorized, TimeSpan.FromSeconds(30), "the revoked key still works");
        Assert.False(await cut.ReadsToItsEndAsync());
        Assert.True(await whole.ReadsToItsEndAsync());

        // So does a suspended tenant, until the suspension is lifted.
        Assert.Contains("suspended tenant beta", await LaminaAsync(asOperator, "suspend", "tenant", "beta", "--url", admin), StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => await StatusAsync(api + "v1/models", beta) == HttpStatusCode.Forbidden, TimeSpan.FromSeconds(30), "the suspended tenant still works");
        Assert.Contains("suspended since", await LaminaAsync("tenant", "list", "--store", store), StringComparison.Ordinal);
        await LaminaAsync("lift", "tenant", "beta", "--store", store);
        await Eventually.TrueAsync(async () => await StatusAsync(api + "v1/models", beta) == HttpStatusCode.OK, s_limit, "the suspension was not lifted");

        string list = await LaminaAsync("key", "list", "--json", "--store", store);
        Assert.Equal(3, JsonNode.Parse(list)!["keys"]!.AsArray().Count);
        Assert.DoesNotContain(beta[^30..], list, StringComparison.Ordinal);
        Assert.DoesNotContain(beta[^30..], serve.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "key", "create", "nobody")]
    [InlineData(2, "key", "create")]
    [InlineData(2, "key", "create", "alpha", "--scope", "everything")]
    [InlineData(2, "key", "create", "alpha", "--expires", "soon")]
    [InlineData(1, "key", "revoke", "0123456789ab")]
    [InlineData(1, "tenant", "add", "Not-A-Name")]
    [InlineData(2, "key", "list", "--url", "http://other.example:1/")]
    public async Task Command_Wrong_SaysSoInOneSentence(int exitCode, params string[] arguments)
    {
        using TemporaryFolder folder = new();
        using LaminaProcess added = await LaminaProcess.RunAsync(s_limit, "tenant", "add", "alpha", "--store", folder.Path);
        Assert.Equal(0, added.ExitCode);
        string[] target = arguments.Contains("--url") ? [] : ["--store", folder.Path];
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, [.. arguments, .. target]);

        Assert.Equal(exitCode, process.ExitCode);
        Assert.StartsWith("lamina: ", process.Error, StringComparison.Ordinal);
        Assert.Single(process.Error.Trim().Split('\n'));
        Assert.Empty(process.Output);
    }

    private static JsonObject Chat(JsonNode messages, int maxTokens = 64)
    {
        JsonObject chat = ChatApi.Chat(messages, maxTokens);
        chat["model"] = Model;
        return chat;
    }

    private static Task<HttpResponseMessage> PostAsync(HttpClient http, JsonObject body, string? idempotencyKey)
    {
        HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = new StringContent(body.ToJsonString(), System.Text.Encoding.UTF8, "application/json") };
        if (idempotencyKey is not null)
        {
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        }

        return http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    private static HttpClient Client(string address, string key) => new()
    {
        BaseAddress = new Uri(address),
        Timeout = TimeSpan.FromMinutes(2),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) },
    };

    private static async Task<HttpStatusCode> StatusAsync(string address, string key)
    {
        using HttpClient http = Client(address, key);
        using HttpResponseMessage response = await http.GetAsync("");
        return response.StatusCode;
    }

    private static async Task<string> BodyAsync(HttpClient http, string path)
    {
        using HttpResponseMessage response = await http.GetAsync(path);
        return $"{(int)response.StatusCode}{await response.Content.ReadAsStringAsync()}";
    }

    private static Task<string> LaminaAsync(params string[] arguments) => LaminaAsync(null, arguments);

    private static async Task<string> LaminaAsync(IReadOnlyDictionary<string, string>? environment, params string[] arguments)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments, environment);
        Assert.True(process.ExitCode == 0, process.Error);
        return process.Output.Trim();
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
