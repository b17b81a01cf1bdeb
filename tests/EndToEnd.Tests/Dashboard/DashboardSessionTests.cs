using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests.Dashboard;

/// <summary>The dashboard's sessions, by hand, where somebody else's page tries to use them.</summary>
[Collection(ServedDashboards.Name)]
public sealed class DashboardSessionTests(ServedDashboard served)
{
    [Fact]
    public async Task Session_UsedByAnotherPage_ChangesNothing()
    {
        using HttpClient http = Client();
        using HttpResponseMessage login = await http.PostAsJsonAsync("dashboard/login", new JsonObject { ["key"] = served.OperatorKey });
        string set = login.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains("httponly", set, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", set, StringComparison.OrdinalIgnoreCase);
        string cookie = set.Split(';')[0];
        string csrf = (string)(await login.Content.ReadFromJsonAsync<JsonNode>())!["csrf"]!;

        Assert.Equal(HttpStatusCode.OK, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie, null));
        string[] changes =
        [
            "admin/tenants/nobody/suspend", "admin/keys/0123456789ab/revoke", "admin/cells/nobody/nodes/n/drain", "admin/cells/nobody/deployments/m/replan", "admin/cells/nobody/deployments/m/roll",
            $"admin/generations/{new string('1', 32)}/cancel",
        ];
        foreach (string change in changes)
        {
            Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(http, HttpMethod.Post, change, cookie, null));
            Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(http, HttpMethod.Post, change, cookie, new string('0', csrf.Length)));
            Assert.Equal(HttpStatusCode.NotFound, await SendAsync(http, HttpMethod.Post, change, cookie, csrf));
        }

        Assert.Equal(HttpStatusCode.Forbidden, await SendAsync(http, HttpMethod.Put, "admin/tenants/beta/quotas", cookie, null));
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie + "0", null));
        Assert.Equal(HttpStatusCode.NoContent, await SendAsync(http, HttpMethod.Post, "dashboard/logout", cookie, csrf));
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(http, HttpMethod.Get, "admin/cells", cookie, null));

        // A form of a foreign page can send neither JSON nor the header.
        using HttpResponseMessage form = await http.PostAsync("dashboard/login", new StringContent($$"""{"key": "{{served.OperatorKey}}"}""", new MediaTypeHeaderValue("text/plain")));
        Assert.Equal(HttpStatusCode.BadRequest, form.StatusCode);
    }

    [Fact]
    public async Task Session_OfATenantsAdministrator_SeesThatTenantAlone()
    {
        using HttpClient http = Client();
        using HttpResponseMessage login = await http.PostAsJsonAsync("dashboard/login", new JsonObject { ["key"] = served.BetaAdminKey });
        using HttpRequestMessage request = new(HttpMethod.Get, "dashboard/events") { Headers = { { "Cookie", login.Headers.GetValues("Set-Cookie").Single().Split(';')[0] } } };
        using HttpResponseMessage events = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using StreamReader reader = new(await events.Content.ReadAsStreamAsync());
        string first = (await reader.ReadLineAsync())!;
        JsonNode snapshot = JsonNode.Parse(first["data: ".Length..])!;
        JsonNode status = snapshot["cells"]!.AsArray().Single()!["status"]!;
        Assert.Equal("beta", (string)status["tenant"]!);
        Assert.DoesNotContain("acme", first, StringComparison.Ordinal);

        // The coordinator's certificate and that of beta's node; what nodes of a loopback cell are issued runs for a day.
        Assert.Equal(["coordinator", "node-1"], snapshot["certificates"]!.AsArray().Select(one => (string)one!["whose"]!));
        Assert.All(snapshot["certificates"]!.AsArray(), one => Assert.InRange((double)one!["daysLeft"]!, 0.1, 400));
        Assert.InRange((double)status["nodes"]![0]!["cpuShare"]!, 0, 1000);
        Assert.Equal(6, (int)status["deployments"]![0]!["stages"]![0]!["lastLayer"]! + 1);
        Assert.Single(status["deployments"]![0]!["pipelines"]!.AsArray());
    }

    private HttpClient Client() => new(new HttpClientHandler { UseCookies = false }) { BaseAddress = served.Admin };

    private static async Task<HttpStatusCode> SendAsync(HttpClient http, HttpMethod method, string path, string cookie, string? csrf)
    {
        using HttpRequestMessage request = new(method, path) { Headers = { { "Cookie", cookie } } };
        if (csrf is not null)
        {
            request.Headers.Add("X-Lamina-Csrf", csrf);
        }

        using HttpResponseMessage response = await http.SendAsync(request);
        return response.StatusCode;
    }
}
