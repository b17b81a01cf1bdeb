using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Lamina.Coordinator.Quotas;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>Quotas, usage and suspension over a whole coordinator with a node.</summary>
public sealed class MeteringTests : IAsyncLifetime
{
    private const string Model = "tiny";

    private TestCell _cell = null!;

    public async ValueTask InitializeAsync()
    {
        _cell = await TestCell.StartAsync(new ModelOptions { Name = Model, Path = Repository.File("models/lamina-tiny-q8_0.gguf") }, "node-1");
        await _cell.ReadyAsync(Model);
    }

    public ValueTask DisposeAsync() => _cell.DisposeAsync();

    [Fact]
    public async Task Requests_BeyondTheRate_AreRefusedWithOpenAisHeadersAndToldWhenToComeBack()
    {
        await SetAsync(new QuotaRules { RequestsPerMinute = 2 });
        using HttpResponseMessage first = await AskAsync(4);
        using HttpResponseMessage second = await AskAsync(4);
        using HttpResponseMessage third = await AskAsync(4);
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests], [first.StatusCode, second.StatusCode, third.StatusCode]);
        Assert.Equal(("2", "1"), (Header(first, "x-ratelimit-limit-requests"), Header(first, "x-ratelimit-remaining-requests")));
        Assert.Equal("0", Header(third, "x-ratelimit-remaining-requests"));

        // One request comes free every thirty seconds.
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 30);
        using JsonDocument error = JsonDocument.Parse(await third.Content.ReadAsStringAsync());
        Assert.Equal("rate_limit_exceeded", error.RootElement.GetProperty("error").GetProperty("code").GetString());
        Assert.Contains("lamina_quota_refusals_total{tenant=\"acme\",reason=\"requests_per_minute\"} 1", await _cell.Http.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    /// <summary>A body that does not parse tells whether it was read: once the requests of the day are used up, it is not.</summary>
    [Fact]
    public async Task Requests_BeyondTheDays_AreRefusedUnreadAndCountedOnceEach()
    {
        await SetAsync(new QuotaRules { RequestsPerDay = 1 });
        using HttpResponseMessage malformed = await PostAsync("/v1/chat/completions", "{");
        using HttpResponseMessage first = await AskAsync(4);
        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK), (malformed.StatusCode, first.StatusCode));

        foreach (string route in new[] { "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings" })
        {
            using HttpResponseMessage unread = await PostAsync(route, "{");
            Assert.Equal((HttpStatusCode.TooManyRequests, "0"), (unread.StatusCode, Header(unread, "x-ratelimit-remaining-requests")));
            Assert.True(unread.Headers.RetryAfter!.Delta > TimeSpan.Zero);
        }

        using HttpRequestMessage kept = new(HttpMethod.Post, "/v1/completions") { Content = new StringContent("{", System.Text.Encoding.UTF8, "application/json"), Headers = { { "Idempotency-Key", "one" } } };
        using HttpResponseMessage refused = await _cell.Http.SendAsync(kept);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Contains("lamina_quota_refusals_total{tenant=\"acme\",reason=\"requests_per_day\"} 5", await _cell.Http.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Model_ThatTheRulesDoNotName_DoesNotExist()
    {
        await SetAsync(new QuotaRules { Models = ["other"] });
        using HttpResponseMessage refused = await AskAsync(4);
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        using JsonDocument list = JsonDocument.Parse(await _cell.Http.GetStringAsync("/v1/models"));
        Assert.Empty(list.RootElement.GetProperty("data").EnumerateArray());
        using HttpResponseMessage hidden = await _cell.Http.GetAsync($"/v1/models/{Model}");
        using HttpResponseMessage unknown = await _cell.Http.GetAsync("/v1/models/unknown");
        Assert.Equal((HttpStatusCode.NotFound, await unknown.Content.ReadAsStringAsync()), (hidden.StatusCode, await hidden.Content.ReadAsStringAsync()));

        await SetAsync(new QuotaRules { Models = [Model] });
        using HttpResponseMessage shown = await _cell.Http.GetAsync($"/v1/models/{Model}");
        Assert.Equal(HttpStatusCode.OK, shown.StatusCode);
        Assert.Contains(Model, await _cell.Http.GetStringAsync("/v1/models"), StringComparison.Ordinal);
    }

    /// <summary>What a limit can never admit is refused by its name and what the request needs of it, also when nothing else runs; a caller that leaves the length open is not.</summary>
    [Theory]
    [InlineData("""{"concurrentGenerations":2}""", "\"max_tokens\":4,\"n\":3", "needs 3 generations at the same time (n for each prompt), but the limit is 2")]
    [InlineData("""{"generatedTokensPerDay":11}""", "\"max_tokens\":4,\"n\":3", "may generate 12 tokens (max_tokens for each choice), but the limit is 11 per day")]
    [InlineData("""{"promptTokensPerDay":1}""", "\"max_tokens\":4", "prompt tokens, but the limit is 1 per day")]
    [InlineData("""{"kvBytes":1}""", "\"max_tokens\":4", "bytes for the context of its generations (prompt and max_tokens for each choice), but the limit is 1")]
    [InlineData("""{"generatedTokensPerDay":11}""", "\"stop\":\"x\"", null)]
    [InlineData("""{"concurrentGenerations":3}""", "\"max_tokens\":4,\"n\":3", null)]
    public async Task Request_ThatALimitCanNeverAdmit_IsToldSo(string rules, string fields, string? expected)
    {
        await SetAsync(JsonSerializer.Deserialize<QuotaRules>(rules, QuotaStore.Json)!);
        using HttpResponseMessage response = await PostAsync("/v1/completions", $$"""{"model":"{{Model}}","prompt":"What is 2 + 2?",{{fields}}}""");
        string text = await response.Content.ReadAsStringAsync();
        Assert.Equal(expected is null ? HttpStatusCode.OK : HttpStatusCode.BadRequest, response.StatusCode);
        if (expected is not null)
        {
            using JsonDocument error = JsonDocument.Parse(text);
            Assert.Equal("exceeds_quota", error.RootElement.GetProperty("error").GetProperty("code").GetString());
            Assert.Contains(expected, error.RootElement.GetProperty("error").GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    /// <summary>What takes the processor's time without computing an answer counts as well, and keeps to the same models.</summary>
    [Fact]
    public async Task SideRoutes_PassTheSameQuota()
    {
        (string Route, string Body)[] side =
        [
            ("/tokenize", $$"""{"model":"{{Model}}","content":"abc"}"""), ("/detokenize", $$"""{"model":"{{Model}}","tokens":[5]}"""),
            ("/apply-template", $$"""{"model":"{{Model}}","messages":[{"role":"user","content":"abc"}]}"""),
        ];
        await SetAsync(new QuotaRules { RequestsPerMinute = 3 });
        foreach ((string route, string body) in side)
        {
            using HttpResponseMessage counted = await PostAsync(route, body);
            Assert.Equal((HttpStatusCode.OK, "3"), (counted.StatusCode, Header(counted, "x-ratelimit-limit-requests")));
        }

        // One comes free every twenty seconds; four that come at once find at most one of them.
        HttpStatusCode[] beyond = await Task.WhenAll(new[] { side[0], side[1], side[2], ("/v1/batches", "{}") }.Select(async one =>
        {
            using HttpResponseMessage response = await PostAsync(one.Item1, one.Item2);
            return response.StatusCode;
        }));
        Assert.InRange(beyond.Count(status => status == HttpStatusCode.TooManyRequests), 3, 4);

        await SetAsync(new QuotaRules { Models = ["other"] });
        foreach ((string route, string body) in side)
        {
            using HttpResponseMessage hidden = await PostAsync(route, body);
            Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
        }
    }

    [Fact]
    public async Task Usage_AfterAnswers_IsWhatTheirUsageSaid()
    {
        long prompt = 0, generated = 0;
        foreach (int tokens in new[] { 3, 7 })
        {
            using HttpResponseMessage response = await AskAsync(tokens);
            using JsonDocument answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
            JsonElement usage = answer.RootElement.GetProperty("usage");
            prompt += usage.GetProperty("prompt_tokens").GetInt64();
            generated += usage.GetProperty("completion_tokens").GetInt64();
        }

        using JsonDocument told = JsonDocument.Parse(await _cell.Http.GetStringAsync("/v1/usage"));
        Assert.Equal(
            (2L, prompt, generated),
            (told.RootElement.GetProperty("requests").GetInt64(), told.RootElement.GetProperty("prompt_tokens").GetInt64(), told.RootElement.GetProperty("generated_tokens").GetInt64()));
    }

    [Fact]
    public async Task Tenant_Suspended_EndsItsStreamsWithinASecondAndServesAgainWhenLifted()
    {
        SuspensionStore store = _cell.Coordinator.Host.Quotas.Suspensions!;

        // A tiny model ends an answer in a moment, so four callers ask again and again: some of them are in the middle of a stream when the tenant is suspended.
        var first = new CountdownEvent(4);
        Task<string>[] callers = [.. Enumerable.Range(0, 4).Select(_ => StreamUntilRefusedAsync(first))];
        Assert.True(await Task.Run(() => first.Wait(TimeSpan.FromSeconds(180))), "no stream began");
        long suspended = Stopwatch.GetTimestamp();
        await store.SuspendAsync(new Suspension(SuspensionKind.Tenant, TestCoordinator.Tenant.Value, null, "test", DateTimeOffset.UtcNow), default);
        string[] last = await Task.WhenAll(callers);
        TimeSpan took = Stopwatch.GetElapsedTime(suspended);
        string[] cut = [.. last.Where(text => text.Length > 0)];
        Assert.NotEmpty(cut);
        Assert.All(cut, text => Assert.Contains("\"suspended\"", text, StringComparison.Ordinal));
        TestContext.Current.TestOutputHelper!.WriteLine($"{cut.Length} ended {took.TotalMilliseconds:0} ms after");
        Assert.True(took < TimeSpan.FromSeconds(20), $"took {took}");
        using HttpResponseMessage refused = await AskAsync(2);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);

        Assert.True(await store.LiftAsync(SuspensionKind.Tenant, TestCoordinator.Tenant.Value, null, default));
        await _cell.Coordinator.Host.Quotas.RefreshAsync(default);
        using HttpResponseMessage served = await AskAsync(2);
        Assert.Equal(HttpStatusCode.OK, served.StatusCode);
    }

    private Task<HttpResponseMessage> PostAsync(string route, string body) => _cell.Http.PostAsync(route, new StringContent(body, System.Text.Encoding.UTF8, "application/json"));

    private static string Header(HttpResponseMessage response, string name) => Assert.Single(response.Headers.GetValues(name));

    private static StringContent Body(int tokens, bool stream = false) =>
        new($$"""{"model":"{{Model}}","prompt":"What is 2 + 2?","temperature":0,"max_tokens":{{tokens}},"logit_bias":{"2":-100},"stream":{{(stream ? "true,\"min_tokens\":" + tokens : "false")}}}""", System.Text.Encoding.UTF8, "application/json");

    /// <summary>Streams one answer after another until one is cut short, which is returned, or a request is refused, for which nothing is.</summary>
    private async Task<string> StreamUntilRefusedAsync(CountdownEvent first)
    {
        for (bool isFirst = true; ; isFirst = false)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = Body(400, stream: true) };
            using HttpResponseMessage response = await _cell.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (response.StatusCode == HttpStatusCode.Forbidden)
            {
                return "";
            }

            response.EnsureSuccessStatusCode();
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            Assert.NotNull(await reader.ReadLineAsync());
            if (isFirst)
            {
                first.Signal();
            }

            string rest = await reader.ReadToEndAsync();
            if (!rest.Contains("[DONE]", StringComparison.Ordinal))
            {
                return rest;
            }
        }
    }

    private Task<HttpResponseMessage> AskAsync(int tokens) => _cell.Http.PostAsync("/v1/completions", Body(tokens));

    private async Task SetAsync(QuotaRules rules)
    {
        await _cell.Coordinator.Host.Quotas.Quotas!.SetAsync(TestCoordinator.Tenant, QuotaRow.WholeTenant, rules, default);
        await _cell.Coordinator.Host.Quotas.RefreshAsync(default);
    }
}
