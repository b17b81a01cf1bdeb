using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Admin;

/// <summary>The admin listener of a coordinator with two tenants.</summary>
public class AdminTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    [Fact]
    public async Task Key_MadeRotatedRevoked_WorksAsLongAsItShould()
    {
        JsonNode made = await AdminAsync(HttpMethod.Post, "/admin/keys", """{"tenant":"beta","name":"reports","scopes":["usage","inference"],"expires_in_seconds":3600}""", 201);
        string id = made["id"]!.GetValue<string>(), first = made["key"]!.GetValue<string>();
        Assert.Equal(HttpStatusCode.OK, await AskAsync(first));
        Assert.Equal("beta", made["tenant"]!.GetValue<string>());
        Assert.NotNull(made["expires"]);

        string second = (await AdminAsync(HttpMethod.Post, $"/admin/keys/{id}/rotate", """{"overlap_seconds":600}"""))["key"]!.GetValue<string>();
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (await AskAsync(first), await AskAsync(second)));
        string third = (await AdminAsync(HttpMethod.Post, $"/admin/keys/{id}/rotate", """{"overlap_seconds":0}"""))["key"]!.GetValue<string>();
        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await AskAsync(first), await AskAsync(second), await AskAsync(third)));

        JsonNode revoked = await AdminAsync(HttpMethod.Post, $"/admin/keys/{id}/revoke", null);
        Assert.NotNull(revoked["revoked"]);
        Assert.Null(revoked["key"]);
        Assert.Equal(HttpStatusCode.Unauthorized, await UntilAsync(third, HttpStatusCode.Unauthorized));
        string list = (await AdminAsync(HttpMethod.Get, "/admin/keys?tenant=beta", null)).ToJsonString();
        Assert.Contains(id, list, StringComparison.Ordinal);
        Assert.DoesNotContain(third[^20..], list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tenant_AddedSuspendedResumedRemoved_ItsKeysFollow()
    {
        Assert.Null((await AdminAsync(HttpMethod.Post, "/admin/tenants", """{"id":"delta"}""", 201))["suspended"]);
        string key = (await AdminAsync(HttpMethod.Post, "/admin/keys", """{"tenant":"delta","name":"k","scopes":["inference"]}""", 201))["key"]!.GetValue<string>();

        // It has no cell here, so there is nothing to see, but the key is good.
        Assert.Equal(HttpStatusCode.NotFound, await AskAsync(key));
        await AdminAsync(HttpMethod.Post, "/admin/tenants/delta/suspend", null);
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(key));
        await AdminAsync(HttpMethod.Post, "/admin/tenants/delta/resume", null);
        Assert.Equal(HttpStatusCode.NotFound, await AskAsync(key));
        await AdminAsync(HttpMethod.Delete, "/admin/tenants/delta", null);
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(key));
    }

    [Theory]
    [InlineData("/admin/tenants", """{"id":"Not A Name"}""", 400)]
    [InlineData("/admin/tenants", """{"id":"alpha"}""", 400)]
    [InlineData("/admin/tenants", """{}""", 400)]
    [InlineData("/admin/keys", """{"tenant":"alpha","name":"k","scopes":["everything"]}""", 400)]
    [InlineData("/admin/keys", """{"tenant":"alpha","name":"k","scopes":[]}""", 400)]
    [InlineData("/admin/keys", """{"tenant":"alpha","name":"","scopes":["usage"]}""", 400)]
    [InlineData("/admin/keys", """{"tenant":"alpha","name":"k","scopes":["usage"],"colour":"red"}""", 400)]
    [InlineData("/admin/keys", """{"name":"k","scopes":["usage"]}""", 400)]
    [InlineData("/admin/keys", """{"tenant":"nobody","name":"k","scopes":["usage"]}""", 404)]
    [InlineData("/admin/keys/0123456789ab/rotate", """{}""", 404)]
    public async Task Request_Wrong_IsRefused(string route, string body, int status)
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Post, tenants.Admin(route), tenants.Operator.Text, body);

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task TenantsAdministrator_MakesKeysOfItsTenantOnly()
    {
        using HttpResponseMessage made = await tenants.SendAsync(HttpMethod.Post, tenants.Admin("/admin/keys"), tenants.AlphaAdmin.Text, """{"name":"k","scopes":["inference"]}""");
        using HttpResponseMessage suspend = await tenants.SendAsync(HttpMethod.Post, tenants.Admin("/admin/tenants/alpha/suspend"), tenants.AlphaAdmin.Text);
        JsonNode key = JsonNode.Parse(await made.Content.ReadAsStringAsync())!;

        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.Forbidden), (made.StatusCode, suspend.StatusCode));
        Assert.Equal("alpha", key["tenant"]!.GetValue<string>());
        Assert.Equal("no-store", made.Headers.CacheControl!.ToString());
    }

    [Fact]
    public async Task Cells_ForAnOperator_AreAll()
    {
        JsonNode cells = await AdminAsync(HttpMethod.Get, "/admin/cells", null);

        Assert.Equal(["alpha", "beta"], cells["data"]!.AsArray().Select(cell => cell!["tenant"]!.GetValue<string>()));
        Assert.Equal("alpha-model", cells["data"]![0]!["deployments"]![0]!["name"]!.GetValue<string>());
    }

    [Fact]
    public async Task SecurityText_SaysWhereToReport()
    {
        string text = await tenants.Http.GetStringAsync("/.well-known/security.txt");

        Assert.StartsWith("Contact: mailto:security@example.org\nExpires: ", text, StringComparison.Ordinal);
        string expires = text.Split('\n')[1]["Expires: ".Length..];
        Assert.InRange(DateTimeOffset.Parse(expires, System.Globalization.CultureInfo.InvariantCulture), DateTimeOffset.UtcNow.AddDays(60), DateTimeOffset.UtcNow.AddDays(364));
        Assert.Contains("Policy: https://example.org/security\n", text, StringComparison.Ordinal);
    }

    private async Task<JsonNode> AdminAsync(HttpMethod method, string route, string? body, int status = 200)
    {
        using HttpResponseMessage response = await tenants.SendAsync(method, tenants.Admin(route), tenants.Operator.Text, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(status == (int)response.StatusCode, $"{(int)response.StatusCode}: {text}");
        return JsonNode.Parse(text)!;
    }

    private async Task<HttpStatusCode> AskAsync(string key)
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", key);
        return response.StatusCode;
    }

    private async Task<HttpStatusCode> UntilAsync(string key, HttpStatusCode wanted)
    {
        for (int i = 0; i < 100 && await AskAsync(key) != wanted; i++)
        {
            await Task.Delay(20);
        }

        return await AskAsync(key);
    }
}
