using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.RegularExpressions;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>However many keys and requests there are, the series are no more than docs/metrics.md says.</summary>
public sealed partial class MetricSeriesTests
{
    private const int Models = 100;
    private const int Keys = 1000;

    private static readonly string[] s_labels =
        ["tenant", "model", "deployment", "route", "status", "outcome", "reason", "what", "purpose", "generation", "epoch", "pipeline", "stage", "device", "le"];

    [Fact]
    public async Task Series_OfAThousandKeysAndAHundredModels_AreNoMoreThanDocumented()
    {
        ModelOptions[] models = [.. Enumerable.Range(0, Models).Select(i => new ModelOptions { Name = $"model-{i}", Path = Repository.File("models/lamina-tiny-q8_0.gguf") })];
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync(models, change: options => options with { RequireKeys = true });
        NewKey[] keys = new NewKey[Keys];
        for (int i = 0; i < Keys; i++)
        {
            keys[i] = await coordinator.Host.Access!.Keys.CreateAsync(TestCoordinator.Tenant, $"key {i}", KeyScopes.Inference, null, CancellationToken.None);
        }

        await coordinator.Host.Access!.Ring.RefreshAsync(CancellationToken.None);
        var statuses = new HashSet<HttpStatusCode>();
        await Parallel.ForAsync(0, Keys, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (i, _) =>
        {
            // Served and unknown models, addresses that do not exist, users and ids of all kinds: whatever a caller can vary.
            string model = i % 3 == 0 ? $"unknown-{i}" : $"model-{i % Models}";
            string body = $$"""{"model":"{{model}}","user":"user-{{i}}","messages":[{"role":"user","content":"hi"}]}""";
            foreach (string path in new[] { "/v1/chat/completions", $"/v1/{i}" })
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", keys[i].Text);
                using HttpResponseMessage response = await coordinator.Http.SendAsync(request);
                lock (statuses)
                {
                    statuses.Add(response.StatusCode);
                }
            }
        });
        Assert.Subset(new HashSet<HttpStatusCode> { HttpStatusCode.NotFound, HttpStatusCode.ServiceUnavailable }, statuses);

        using var stream = new MemoryStream();
        await coordinator.Host.Metrics.CollectAndExportAsTextAsync(stream);

        // Tests beside this one have nodes in the same process.
        string[] series = [.. Encoding.UTF8.GetString(stream.ToArray()).Split('\n').Where(line => line.StartsWith("lamina_", StringComparison.Ordinal) && !line.StartsWith("lamina_node_", StringComparison.Ordinal))];
        Assert.Equal(Models, series.Count(line => line.StartsWith("lamina_deployment_ready{", StringComparison.Ordinal)));
        Assert.All(series, line => Assert.All(Label().Matches(line), label => Assert.Contains(label.Groups[1].Value, s_labels)));
        Assert.InRange(series.Length, Models, Documented(Models, 1, coordinator.Host.Routes.Api.Count + 1));
        Assert.All(series, line => Assert.False(line.Contains("unknown-", StringComparison.Ordinal) || line.Contains("user-", StringComparison.Ordinal), line));
    }

    [Fact]
    public async Task Series_OfAModelsGenerations_AreNoMoreThanDocumented()
    {
        using var metrics = new ApiMetrics(() => []);
        foreach (int model in Enumerable.Range(0, Models))
        {
            for (int generation = 0; generation < 100; generation++)
            {
                GenerationTimer timer = metrics.StartGeneration(TestCoordinator.Tenant, $"only-here-{model}", generation + 1);
                timer.CountToken();
                timer.CountToken();
                timer.End(Enum.GetValues<GenerationOutcome>()[generation % Enum.GetValues<GenerationOutcome>().Length]);
            }
        }

        using var stream = new MemoryStream();
        await metrics.Registry.CollectAndExportAsTextAsync(stream);
        int series = Encoding.UTF8.GetString(stream.ToArray()).Split('\n').Count(line => line.Contains("model=\"only-here-", StringComparison.Ordinal));

        // Three histograms of 17 bounds (each with +Inf, sum and count), two counters, seven outcomes; the rest of the documented 93 are a deployment's gauges and its failovers.
        Assert.Equal(Models * ((3 * 20) + 2 + 7), series);
        Assert.InRange(series, 0, Documented(Models, 0, 0));
    }

    private static int Documented(int models, int tenants, int routes)
    {
        Match sentence = Sentence().Match(File.ReadAllText(Repository.File("docs/metrics.md")));
        Assert.True(sentence.Success);
        int[] numbers = [.. sentence.Groups.Values.Skip(1).Select(group => int.Parse(group.Value, System.Globalization.CultureInfo.InvariantCulture))];
        return (numbers[0] * models) + (numbers[1] * tenants) + (numbers[2] * routes) + numbers[3];
    }

    [GeneratedRegex("[{,]([a-z_]+)=\"")]
    private static partial Regex Label();

    [GeneratedRegex("at most ([0-9]+) series for each deployed model of a tenant, ([0-9]+) for each tenant, ([0-9]+) for each route and ([0-9]+) besides")]
    private static partial Regex Sentence();
}
