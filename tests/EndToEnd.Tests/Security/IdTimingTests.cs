using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Whether the time of a refusal tells that an id is another tenant's rather than nobody's; its bytes do not. Alone, as every measurement of time.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class IdTimingTests(TwoTenants tenants, ITestOutputHelper output) : IClassFixture<TwoTenants>
{
    [Trait("Attack", "I5")]
    [Fact]
    public async Task Refusal_OfAnotherTenantsId_TakesAsLongAsOfAnUnknownOne()
    {
        HttpClient acme = tenants[TwoTenants.Acme];
        string file = await UploadAsync(acme);
        string batch = await IdOfAsync(acme, "v1/batches", new() { ["input_file_id"] = file, ["endpoint"] = "/v1/completions", ["completion_window"] = "24h" });
        string response = await IdOfAsync(acme, "v1/responses", new() { ["model"] = TwoTenants.ModelOf(TwoTenants.Acme), ["input"] = "Once", ["max_output_tokens"] = 16, ["store"] = true });
        string generation = await KeptGenerationAsync();
        var routes = new Dictionary<string, string>
        {
            ["v1/files/"] = file, ["v1/batches/"] = batch, ["v1/responses/"] = response, ["v1/generations/{id}/events"] = generation, ["v1/models/"] = TwoTenants.ModelOf(TwoTenants.Acme),
        };
        int pairs = AttackScale.Cases(400, 2000);

        // By chance alone the area strays from a half by sqrt((2n + 1) / (12 n n)): 0.009 for 2,000 pairs, 0.020 for 400; the bounds are four of these away.
        double chance = 4 * Math.Sqrt(((2.0 * pairs) + 1) / (12.0 * pairs * pairs));
        foreach ((string route, string other) in routes)
        {
            Assert.Equal(HttpStatusCode.OK, (await MeasureAsync(acme, route, other)).Status);
            (double[] others, double[] unknown) = (new double[pairs], new double[pairs]);
            for (int i = -50; i < pairs; i++)
            {
                // Which of the two comes first changes, so that neither gains from its place; the first ones only warm up.
                double a = 0, b = 0;
                for (int half = 0; half < 2; half++)
                {
                    bool asksForOther = (half == 0) == (i % 2 == 0);
                    (HttpStatusCode status, double time) = await MeasureAsync(tenants[TwoTenants.Globex], route, asksForOther ? other : Unknown(other, i));
                    Assert.Equal(HttpStatusCode.NotFound, status);
                    (a, b) = asksForOther ? (time, b) : (a, time);
                }

                if (i >= 0)
                {
                    (others[i], unknown[i]) = (a, b);
                }
            }

            double area = Timing.AreaUnderCurve(others, unknown);
            double median = Timing.Median(unknown);

            // What a lookup that takes a fifth longer would have shown: without it, equal times could be those of a clock that tells nothing.
            double told = Timing.AreaUnderCurve(others, [.. unknown.Select(time => time + (0.2 * median))]);
            output.WriteLine($"{route}: {pairs} pairs, area under the curve {area:0.000}, {told:0.000} with a fifth more; medians {Timing.Median(others):0.000} and {median:0.000} ms");
            Assert.InRange(area, 0.5 - chance, 0.5 + chance);
            Assert.True(told > 0.5 + chance, $"{route}: a fifth of the time more gives an area of {told:0.000} only, so the test could not have told it");
        }
    }

    /// <summary>Of the same form and length: its last digits are others, and others each time.</summary>
    private static string Unknown(string id, int number) => string.Concat(id.AsSpan(0, id.Length - 4), (0x8000 + number).ToString("x4", System.Globalization.CultureInfo.InvariantCulture));

    private static async Task<(HttpStatusCode Status, double Time)> MeasureAsync(HttpClient http, string route, string id)
    {
        string address = route.Contains("{id}", StringComparison.Ordinal) ? route.Replace("{id}", id, StringComparison.Ordinal) : route + id;
        long started = Stopwatch.GetTimestamp();
        using HttpResponseMessage response = await http.GetAsync(address);
        return (response.StatusCode, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
    }

    private static async Task<string> IdOfAsync(HttpClient http, string route, JsonObject body)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync(route, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["id"]!.GetValue<string>();
    }

    private static async Task<string> UploadAsync(HttpClient http)
    {
        string line = $$$"""{"custom_id":"one","method":"POST","url":"/v1/completions","body":{"model":"{{{TwoTenants.ModelOf(TwoTenants.Acme)}}}","prompt":"Once","max_tokens":1}}""";
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StringContent(line + "\n"), "file", "requests.jsonl" } };
        using HttpResponseMessage response = await http.PostAsync("v1/files", form);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["id"]!.GetValue<string>();
    }

    /// <summary>A stream that its owner may come back to.</summary>
    private async Task<string> KeptGenerationAsync()
    {
        JsonObject body = TwoTenants.Completion(TwoTenants.Acme, "Once", 4);
        body["stream"] = true;
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(body) };
        request.Headers.Add("Idempotency-Key", "kept");
        using HttpResponseMessage response = await tenants[TwoTenants.Acme].SendAsync(request);
        string events = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, events);
        string first = events.Split('\n').First(line => line.StartsWith("data: {", StringComparison.Ordinal));
        return JsonNode.Parse(first[6..])!["id"]!.GetValue<string>();
    }
}
