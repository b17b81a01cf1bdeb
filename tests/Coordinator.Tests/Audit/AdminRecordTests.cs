using System.Diagnostics;
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
        string[] records = await UntilAsync(record => Is(record, "actor", tenants.AlphaAdmin.Key.Id));
        double seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        string[] ofRoute = [.. records.Where(record => record.Contains("/dashboard/login", StringComparison.Ordinal))];
        string admin = Assert.Single(ofRoute, record => Is(record, "action", "admin"));
        Assert.True(Is(admin, "result", "200") && Is(admin, "tenant", "alpha") && Is(admin, "target", SignIn), admin);
        Assert.All(ofRoute.Where(record => record != admin), record => Assert.True(Is(record, "action", "refusal") && Is(record, "result", "401"), record));
        Assert.InRange(ofRoute.Length - 1, 1, 10 * (seconds + 2));
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
