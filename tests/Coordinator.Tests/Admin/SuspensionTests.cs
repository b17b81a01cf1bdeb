using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Admin;

/// <summary>Who may suspend and lift what, and how it must be named.</summary>
public class SuspensionTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    private const string Hash = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Key_SuspendedByAnOperator_IsNotLiftedByItsTenant()
    {
        NewKey admin = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Admin), key = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        await SuspendAsync(tenants.Operator, "key", key.Key.Id);
        JsonNode again = await SuspendAsync(admin, "key", key.Key.Id);
        Assert.Equal("tenant", (string)again["by"]!);

        (HttpStatusCode status, JsonNode answer) = await LiftAsync(admin, "key/" + key.Key.Id);
        Assert.Equal((HttpStatusCode.Forbidden, "an operator suspended this key, and only an operator lifts that"), (status, (string)answer["error"]!["message"]!));
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(key));
        Assert.Equal(HttpStatusCode.OK, (await LiftAsync(tenants.Operator, "key/" + key.Key.Id)).Status);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(key));
    }

    [Fact]
    public async Task Key_SuspendedByItsTenant_IsLiftedByItUnlessAnOperatorTookItOver()
    {
        NewKey key = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        await SuspendAsync(tenants.AlphaAdmin, "key", key.Key.Id);
        Assert.Equal(HttpStatusCode.Forbidden, await AskAsync(key));
        Assert.Equal(HttpStatusCode.OK, (await LiftAsync(tenants.AlphaAdmin, "key/" + key.Key.Id)).Status);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(key));

        await SuspendAsync(tenants.AlphaAdmin, "key", key.Key.Id);
        await SuspendAsync(tenants.Operator, "key", key.Key.Id, reason: "leaked");
        JsonNode listed = (await ReadAsync(HttpMethod.Get, "/admin/suspensions", tenants.Operator)).Answer["data"]!.AsArray().Single(one => (string)one!["name"]! == key.Key.Id)!;
        Assert.Equal(("operator", "leaked"), ((string)listed["by"]!, (string)listed["reason"]!));
        Assert.Equal(HttpStatusCode.Forbidden, (await LiftAsync(tenants.AlphaAdmin, "key/" + key.Key.Id)).Status);
        Assert.Equal(HttpStatusCode.OK, (await LiftAsync(tenants.Operator, "key/" + key.Key.Id)).Status);
    }

    /// <summary>Asked with a key that no coordinator refuses yet, as one that has not heard of the suspension would.</summary>
    [Fact]
    public async Task Key_LiftingItsOwnSuspension_IsRefused()
    {
        foreach (NewKey key in new[] { tenants.AlphaAdmin, tenants.Operator })
        {
            (HttpStatusCode status, JsonNode answer) = await LiftAsync(key, "key/" + key.Key.Id);
            Assert.Equal((HttpStatusCode.Forbidden, "a key cannot lift its own suspension"), (status, (string)answer["error"]!["message"]!));
        }
    }

    [Fact]
    public async Task Key_SuspendingItself_IsAnsweredAndEnds()
    {
        NewKey key = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Admin);
        await SuspendAsync(key, "key", key.Key.Id);
        await EndsAsync(async () => (await ReadAsync(HttpMethod.Get, "/admin/me", key)).Status == HttpStatusCode.Forbidden);
        Assert.Equal(HttpStatusCode.Forbidden, (await ReadAsync(HttpMethod.Post, "/admin/keys", key, new JsonObject { ["name"] = "k", ["scopes"] = new JsonArray("inference") })).Status);
        Assert.Equal(HttpStatusCode.OK, (await LiftAsync(tenants.AlphaAdmin, "key/" + key.Key.Id)).Status);
    }

    [Fact]
    public async Task DashboardSession_OfASuspendedKey_EndsWithItsEvents()
    {
        NewKey key = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Admin);
        using HttpClient http = new(new HttpClientHandler { UseCookies = false }) { BaseAddress = tenants.Host.AdminAddress, Timeout = s_limit };
        using HttpResponseMessage login = await http.PostAsJsonAsync("dashboard/login", new JsonObject { ["key"] = key.Text });
        string cookie = login.Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        HttpRequestMessage Get(string path) => new(HttpMethod.Get, path) { Headers = { { "Cookie", cookie } } };
        using HttpRequestMessage session = Get("dashboard/session"), after = Get("dashboard/session"), watch = Get("dashboard/events");
        using HttpResponseMessage open = await http.SendAsync(session), events = await http.SendAsync(watch, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (open.StatusCode, events.StatusCode));

        await SuspendAsync(tenants.Operator, "key", key.Key.Id);
        try
        {
            await events.Content.ReadAsStringAsync().WaitAsync(s_limit);
        }
        catch (HttpRequestException)
        {
            // Cut off, which is an end as well.
        }

        using HttpResponseMessage refused = await http.SendAsync(after);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Theory]
    [InlineData("sha256-" + Hash)]
    [InlineData("sha256:" + Hash)]
    [InlineData(Hash)]
    [InlineData("SHA256:00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF")]
    public async Task Digest_InAnySpelling_IsTheCanonicalOne(string spelled)
    {
        JsonNode preview = (await ReadAsync(HttpMethod.Get, "/admin/suspensions/preview?kind=model&name=" + Uri.EscapeDataString(spelled), tenants.Operator)).Answer;
        Assert.Equal(("sha256-" + Hash, false, 0), ((string)preview["name"]!, (bool)preview["known"]!, (int)preview["affected"]!["answers"]!));
        Assert.Equal("sha256-" + Hash, (string)(await SuspendAsync(tenants.Operator, "model", spelled))["name"]!);
        Assert.Equal(HttpStatusCode.OK, (await LiftAsync(tenants.Operator, "model/" + Uri.EscapeDataString(spelled))).Status);
    }

    [Theory]
    [InlineData("tenant", "Alpha", null, "the tenant is 'Alpha', expected 1 to 63 lower-case letters, digits and inner hyphens")]
    [InlineData("tenant", "alpha", "alpha", "the tenant is 'alpha', expected none: a tenant is known by its name alone")]
    [InlineData("key", "0123456789AB", null, "the key is '0123456789AB', expected the id of a key, 12 lower-case hexadecimal digits, or oidc: and the subject of a token")]
    [InlineData("key", "0123456789a", null, "the key is '0123456789a', expected the id of a key, 12 lower-case hexadecimal digits, or oidc: and the subject of a token")]
    [InlineData("key", "oidc:user-1", null, "no tenant is named, expected that of the subject")]
    [InlineData("key", "oidc:a b", "alpha", "the key is 'oidc:a b', expected the id of a key, 12 lower-case hexadecimal digits, or oidc: and the subject of a token")]
    [InlineData("model", "alpha-model", null, "the model is 'alpha-model', expected the digest of a model's file, sha256- and 64 hexadecimal digits")]
    [InlineData("model", "sha256-" + Hash + "0", null, "the model is 'sha256-" + Hash + "0', expected the digest of a model's file, sha256- and 64 hexadecimal digits")]
    [InlineData("node", "node_1", "alpha", "the node is 'node_1', expected 1 to 63 lower-case letters, digits and inner hyphens")]
    [InlineData("node", "node-1", null, "no tenant is named, expected that of the node")]
    [InlineData("node", "node-1", "Alpha", "the tenant is 'Alpha', expected 1 to 63 lower-case letters, digits and inner hyphens")]
    public async Task Name_ThatNothingCanHave_IsRefusedWithWhatIsExpected(string kind, string name, string? tenant, string message)
    {
        (HttpStatusCode status, JsonNode answer) = await ReadAsync(HttpMethod.Post, "/admin/suspensions", tenants.Operator, new JsonObject { ["kind"] = kind, ["name"] = name, ["tenant"] = tenant });
        (HttpStatusCode previewed, JsonNode preview) = await ReadAsync(
            HttpMethod.Get, $"/admin/suspensions/preview?kind={kind}&name={Uri.EscapeDataString(name)}&tenant={tenant}", tenants.Operator);

        Assert.Equal((HttpStatusCode.BadRequest, message), (status, (string)answer["error"]!["message"]!));
        Assert.Equal((HttpStatusCode.BadRequest, message), (previewed, (string)preview["error"]!["message"]!));
    }

    [Fact]
    public async Task Name_ThatIsAWholeKey_IsNotRepeated()
    {
        (HttpStatusCode status, JsonNode answer) = await ReadAsync(HttpMethod.Post, "/admin/suspensions", tenants.Operator, new JsonObject { ["kind"] = "key", ["name"] = tenants.Beta.Text });
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.DoesNotContain(tenants.Beta.Text[^43..], answer.ToJsonString(), StringComparison.Ordinal);
        Assert.Contains(tenants.Beta.Key.Id, answer.ToJsonString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tenant", "gamma", null, false)]
    [InlineData("tenant", "beta", null, true)]
    [InlineData("key", "0123456789ab", null, false)]
    [InlineData("node", "node-9", "alpha", false)]
    [InlineData("key", "oidc:user-1", "alpha", null)]
    public async Task Preview_OfWhatIsNotThere_SaysSo(string kind, string name, string? tenant, bool? known)
    {
        (HttpStatusCode status, JsonNode answer) = await ReadAsync(HttpMethod.Get, $"/admin/suspensions/preview?kind={kind}&name={name}&tenant={tenant}", tenants.Operator);
        Assert.Equal((HttpStatusCode.OK, known, 0), (status, (bool?)answer["known"], (int)answer["affected"]!["answers"]!));
    }

    private async Task<JsonNode> SuspendAsync(NewKey by, string kind, string name, string reason = "")
    {
        (HttpStatusCode status, JsonNode answer) = await ReadAsync(HttpMethod.Post, "/admin/suspensions", by, new JsonObject { ["kind"] = kind, ["name"] = name, ["reason"] = reason });
        Assert.True(status == HttpStatusCode.Created, answer.ToJsonString());
        return answer;
    }

    private Task<(HttpStatusCode Status, JsonNode Answer)> LiftAsync(NewKey by, string what) => ReadAsync(HttpMethod.Delete, "/admin/suspensions/" + what, by);

    private async Task<(HttpStatusCode Status, JsonNode Answer)> ReadAsync(HttpMethod method, string path, NewKey key, JsonObject? body = null)
    {
        using HttpResponseMessage response = await tenants.SendAsync(method, tenants.Admin(path), key.Text, body?.ToJsonString());
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync())!);
    }

    private async Task<HttpStatusCode> AskAsync(NewKey key)
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", key.Text);
        return response.StatusCode;
    }

    private static async Task EndsAsync(Func<Task<bool>> ended)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        while (true)
        {
            try
            {
                if (await ended())
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // What is under way at that moment is cut off.
            }

            await Task.Delay(10, deadline.Token);
        }
    }
}
