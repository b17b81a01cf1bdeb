using System.Net;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>What an orchestrator sees of a coordinator and a node: configured by environment alone, as in a pod.</summary>
public sealed partial class HealthTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    private readonly EnvironmentCell _cell = new();

    [Fact]
    public async Task HealthListener_OfCoordinatorAndNode_ShowsReadinessAndMetricsAndNothingElse()
    {
        LaminaProcess coordinator = _cell.StartCoordinator(("Health__Listen", "127.0.0.1:0"));
        string started = await coordinator.WaitForLineAsync("health at", s_limit);
        using HttpClient front = new() { BaseAddress = Health(started) };
        Assert.Equal(HttpStatusCode.OK, (await front.GetAsync("health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await front.GetAsync("health/ready")).StatusCode);
        LaminaProcess early = await LaminaProcess.RunAsync(s_limit, "health", $"{front.BaseAddress}health/ready");
        Assert.Equal(1, early.ExitCode);
        Assert.Contains("answered 503", early.Error, StringComparison.Ordinal);

        LaminaProcess node = _cell.StartNode(started, ("Health__Listen", "127.0.0.1:0"));
        using HttpClient worker = new() { BaseAddress = Health(await node.WaitForLineAsync("health at", s_limit)) };
        foreach (HttpClient http in new[] { worker, front })
        {
            await Eventually.TrueAsync(async () => (await http.GetAsync("health/ready")).StatusCode == HttpStatusCode.OK, s_limit, coordinator.Error + node.Error);
            Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("v1/models")).StatusCode);
            Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("")).StatusCode);
            Assert.Equal(HttpStatusCode.MethodNotAllowed, (await http.PostAsync("health/live", new StringContent("x"))).StatusCode);
        }

        Assert.Contains("lamina_deployment_ready{model=\"lamina-tiny-q8_0\",tenant=\"acme\"} 1", await front.GetStringAsync("metrics"), StringComparison.Ordinal);
        string metrics = await worker.GetStringAsync("metrics");
        foreach (string name in new[] { "lamina_node_stage_memory_bytes{", "lamina_cluster_associations_open" })
        {
            Assert.True(metrics.Contains(name, StringComparison.Ordinal), $"no {name} in\n{metrics}");
        }

        // Both directions: what is documented without an occasion is shown after one answer, and nothing is shown that is not documented.
        using HttpClient api = new() { BaseAddress = new Uri(Api().Match(started).Value) };
        Assert.NotEmpty(await api.AnswerAsync(ChatApi.Chat(ChatApi.User("Hello"), maxTokens: 8)));
        IReadOnlyDictionary<string, string> documented = MetricNames.Documented();
        var exported = new Dictionary<string, string>();
        await Eventually.TrueAsync(async () =>
        {
            foreach (HttpClient http in new[] { worker, front })
            {
                foreach ((string name, string kind) in MetricNames.Exported(await http.GetStringAsync("metrics")))
                {
                    exported[name] = kind;
                }
            }

            return MetricNames.Documented(always: true).Keys.All(exported.ContainsKey);
        }, s_limit, () => "not shown: " + string.Join(", ", MetricNames.Documented(always: true).Keys.Where(name => !exported.ContainsKey(name))));
        Assert.All(exported, metric => Assert.Equal(documented.GetValueOrDefault(metric.Key, "not documented: " + metric.Key), metric.Value));

        Assert.Equal(0, (await LaminaProcess.RunAsync(s_limit, "health", $"{front.BaseAddress}health/ready")).ExitCode);
    }

    [Theory]
    [InlineData("no-url", 2)]
    [InlineData("https://127.0.0.1:1/", 2)]
    [InlineData("http://127.0.0.1:1/", 1)]
    public async Task HealthCommand_OnWhatDoesNotAnswer_FailsWithOneSentence(string url, int exitCode)
    {
        LaminaProcess process = await LaminaProcess.RunAsync(s_limit, "health", url);
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Single(process.Error.Trim().Split('\n'));
    }

    [Fact]
    public async Task HealthListen_OfTheWrongForm_IsRefusedWithKeyAndValue()
    {
        LaminaProcess process = _cell.StartCoordinator(("Health__Listen", "everywhere"));
        await process.WaitForExitAsync(s_limit);
        Assert.Equal(1, process.ExitCode);
        Assert.Contains("Health:Listen is 'everywhere', expected ADDRESS:PORT", process.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _cell.Dispose();

    private static Uri Health(string line) => new(HealthAddress().Match(line).Groups[1].Value);

    [GeneratedRegex(@"health at (http://[^/]+/?)")]
    private static partial Regex HealthAddress();

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Api();
}
