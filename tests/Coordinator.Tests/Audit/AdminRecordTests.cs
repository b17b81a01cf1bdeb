using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Audit;

/// <summary>What administrators do stands in the log with who did what to whom; what strangers do at the admin listener cannot fill it.</summary>
public sealed class AdminRecordTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    private const string SignIn = "POST /dashboard/login";

    [Fact]
    public async Task SignIn_ByAStranger_CostsTheLogNoMoreThanOtherRefusals()
    {
        long begun = Stopwatch.GetTimestamp();
        for (int i = 0; i < 100; i++)
        {
            using HttpResponseMessage refused = await SignInAsync($$"""{"key":"lam_{{new string('a', 43)}}"}""");
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            using HttpResponseMessage malformed = await SignInAsync("{");
            Assert.Equal(HttpStatusCode.BadRequest, malformed.StatusCode);
        }

        // The one that succeeds comes after all of them.
        using HttpResponseMessage entered = await SignInAsync($$"""{"key":"{{tenants.AlphaAdmin.Text}}"}""");
        Assert.Equal(HttpStatusCode.OK, entered.StatusCode);
        string[] records = await UntilAsync(record => Is(record, "actor", tenants.AlphaAdmin.Key.Id) && Is(record, "target", SignIn));
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        string[] ofRoute = [.. records.Where(record => record.Contains("/dashboard/login", StringComparison.Ordinal))];
        string admin = Assert.Single(ofRoute, record => Is(record, "action", "admin"));
        Assert.True(Is(admin, "result", "200") && Is(admin, "tenant", "alpha") && Is(admin, "target", SignIn), admin);
        Assert.All(ofRoute.Where(record => record != admin), record => Assert.True(Is(record, "action", "refusal") && Is(record, "result", "401"), record));
        Assert.InRange(ofRoute.Length - 1, 1, 10 * (seconds + 2));
    }

    /// <summary>What was done, and to whom; expected values are what the requests say.</summary>
    [Fact]
    public async Task Change_ByAnAdministrator_IsRecordedWithWhatItChanged()
    {
        await ChangeAsync(HttpMethod.Post, "/admin/tenants", """{"id":"epsilon"}""", "POST /admin/tenants tenant=epsilon");
        JsonNode key = JsonNode.Parse(await ChangeAsync(HttpMethod.Post, "/admin/keys", """{"tenant":"epsilon","name":"k","scopes":["usage","inference"]}""", null))!;
        string id = key["id"]!.GetValue<string>(), text = key["key"]!.GetValue<string>();
        await UntilAsync(record => Is(record, "target", $"POST /admin/keys key={id} tenant=epsilon scopes=inference,usage") && Is(record, "result", "201"));
        await ChangeAsync(HttpMethod.Put, $"/admin/tenants/epsilon/quotas/{id}", """{"requestsPerMinute":7}""", $$"""PUT /admin/tenants/{tenant}/quotas/{key} tenant=epsilon key={{id}} {"requestsPerMinute":7}""");
        await ChangeAsync(HttpMethod.Post, "/admin/suspensions", $$"""{"kind":"key","name":"{{id}}","reason":"lost laptop"}""", $"POST /admin/suspensions Key {id}, reason: lost laptop");

        // Slips: a whole key where its id belongs, which no log may keep.
        await ChangeAsync(HttpMethod.Post, $"/admin/keys/{text}/revoke", null, $$"""POST /admin/keys/{key}/revoke key=(a whole key of {{id}})""");
        await ChangeAsync(HttpMethod.Delete, $"/admin/suspensions/key/{text}", null, null);
        await ChangeAsync(HttpMethod.Delete, $"/admin/suspensions/key/{id}", null, $$"""DELETE /admin/suspensions/{kind}/{name} kind=key name={{id}} Key {{id}}""");
        string[] records = await UntilAsync(record => record.Contains("DELETE", StringComparison.Ordinal) && Is(record, "result", "200"));
        Assert.All(records, record => Assert.DoesNotContain(text[^20..], record, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Drain_OverTheApi_IsRecordedBeforeAndAfter()
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Post, "/v1/nodes/node-9/drain", tenants.AlphaAdmin.Text);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        const string Target = "POST /v1/nodes/{name}/drain name=node-9";
        string[] records = await UntilAsync(record => Is(record, "target", Target) && Is(record, "result", "404"));
        Assert.All(records.Where(record => Is(record, "target", Target)), record => Assert.True(Is(record, "actor", tenants.AlphaAdmin.Key.Id) && Is(record, "tenant", "alpha") && Is(record, "action", "admin"), record));
        Assert.Contains(records, record => Is(record, "target", Target) && Is(record, "result", "begun"));
    }

    /// <summary>Makes a change as the operator, and waits for its record.</summary>
    private async Task<string> ChangeAsync(HttpMethod method, string route, string? body, string? target)
    {
        using HttpResponseMessage response = await tenants.SendAsync(method, tenants.Admin(route), tenants.Operator.Text, body);
        string answer = await response.Content.ReadAsStringAsync();
        if (target is not null)
        {
            await UntilAsync(record => Is(record, "target", target) && Is(record, "result", ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)) && Is(record, "actor", tenants.Operator.Key.Id));
        }

        return answer;
    }

    private Task<HttpResponseMessage> SignInAsync(string body) => tenants.SendAsync(HttpMethod.Post, tenants.Admin("/dashboard/login"), key: null, body);

    private static bool Is(string record, string field, string value) => JsonNode.Parse(record)![field]?.GetValue<string>() == value;

    /// <summary>The latest records, newest first, as soon as one is what is waited for.</summary>
    private async Task<string[]> UntilAsync(Func<string, bool> isAwaited)
    {
        for (long begun = Stopwatch.GetTimestamp(); ; await Task.Delay(20))
        {
            using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, tenants.Admin("/admin/audit?limit=500"), tenants.Operator.Text);
            string[] records = [.. JsonNode.Parse(await response.Content.ReadAsStringAsync())!["data"]!.AsArray().Select(record => record!.ToJsonString())];
            if (records.Any(isAwaited))
            {
                return records;
            }

            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(60), string.Join('\n', records));
        }
    }
}
