using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Tests.Support;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>Every route that the two listeners know, asked without credentials, with those of the wrong kind, and for what belongs to others.</summary>
public class RouteTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    /// <summary>The same for everybody: liveness, where to report, and the pages on which administrators and tenants show their keys.</summary>
    private static readonly string[] s_open =
        ["/health/live", "/.well-known/security.txt", "/dashboard", "/dashboard/dashboard.css", "/dashboard/dashboard.js", "/dashboard/chart.js", "/dashboard/view.js", "/dashboard/usage.js",
            "/dashboard/quotas.js", "/dashboard/uPlot.iife.min.js", "/dashboard/uPlot.min.css", "/dashboard/login",
            "/tenant", "/tenant/dashboard.css", "/tenant/tenant.js", "/tenant/chart.js", "/tenant/view.js", "/tenant/usage.js", "/tenant/uPlot.iife.min.js", "/tenant/uPlot.min.css"];

    private const string UnknownModel = "gamma-model";

    /// <summary>POST routes whose body names a model, with a body that is sound but for it.</summary>
    private static readonly Dictionary<string, string> s_modelRoutes = new()
    {
        ["/v1/chat/completions"] = """{"model":"MODEL","messages":[{"role":"user","content":"hi"}]}""",
        ["/v1/completions"] = """{"model":"MODEL","prompt":"hi"}""",
        ["/v1/responses"] = """{"model":"MODEL","input":"hi"}""",
        ["/v1/embeddings"] = """{"model":"MODEL","input":"hi"}""",
        ["/v1/rerank"] = """{"model":"MODEL","query":"hi","documents":["a"]}""",
        ["/tokenize"] = """{"model":"MODEL","content":"hi"}""",
        ["/detokenize"] = """{"model":"MODEL","tokens":[1]}""",
        ["/apply-template"] = """{"model":"MODEL","messages":[{"role":"user","content":"hi"}]}""",
    };

    private IEnumerable<(string Method, string Pattern, string Address)> Routes => tenants.Host.Routes.Api.SelectMany(route => Requests(route, ""))
        .Concat(tenants.Host.Routes.Admin.SelectMany(route => Requests(route, tenants.Host.AdminAddress!.ToString().TrimEnd('/'))));

    [Fact]
    [Trait("Attack", "D4")]
    public async Task Route_WithoutCredentials_Is401ForAllButLiveness()
    {
        Assert.InRange(Routes.Count(), 25, 200);
        foreach ((string method, string pattern, string address) in Routes)
        {
            using HttpResponseMessage response = await tenants.SendAsync(new HttpMethod(method), address, null);
            if (s_open.Contains(pattern))
            {
                // Signing in without a key in the body is refused, as is a body that is not JSON.
                Assert.Equal(pattern == "/dashboard/login" ? HttpStatusCode.BadRequest : HttpStatusCode.OK, response.StatusCode);
                continue;
            }

            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{method} {pattern}: {response.StatusCode}");
            Assert.Equal("missing_api_key", await CodeOf(response));
        }
    }

    /// <summary>What <c>lamina verify-isolation</c> tries against an installation is what the listeners have.</summary>
    [Fact]
    [Trait("Attack", "D4")]
    public void GuardedRoutes_AreThoseOfTheListeners()
    {
        Assert.Equal(Guarded(tenants.Host.Routes.Api), GuardedRoutes.Api.Order(StringComparer.Ordinal));
        Assert.Equal(Guarded(tenants.Host.Routes.Admin), GuardedRoutes.Admin.Order(StringComparer.Ordinal));

        static IEnumerable<string> Guarded(IEnumerable<RouteEndpoint> routes) => routes
            .Where(route => !s_open.Contains(route.RoutePattern.RawText!))
            .SelectMany(route => route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(method => $"{method} {route.RoutePattern.RawText}")).Order(StringComparer.Ordinal);
    }

    [Fact]
    [Trait("Attack", "D4")]
    public async Task Address_WithoutCredentials_TellsNotWhetherItExists()
    {
        using HttpResponseMessage known = await tenants.SendAsync(HttpMethod.Get, "/v1/models", null), unknown = await tenants.SendAsync(HttpMethod.Get, "/v1/nothing", null);
        using HttpResponseMessage wrongMethod = await tenants.SendAsync(HttpMethod.Delete, "/v1/models", null);

        Assert.Equal(await TextOf(known), await TextOf(unknown));
        Assert.Equal(await TextOf(known), await TextOf(wrongMethod));
    }

    [Fact]
    [Trait("Attack", "D4")]
    public async Task Route_WithWrongCredentials_Is401()
    {
        string good = tenants.Alpha.Text;
        string[] wrong = ["Bearer", "Bearer ", "Bearer x", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes("a:" + good))}", $"Bearer {good}x", $"Bearer {good[..^1]}", good, $"Token {good}", $"Bearer {good}, Bearer {good}"];
        foreach ((string method, string pattern, string address) in Routes.Where(route => !s_open.Contains(route.Pattern)))
        {
            foreach (string header in wrong)
            {
                using HttpResponseMessage response = await tenants.SendAsync(new HttpMethod(method), address, null, headers: headers => headers.TryAddWithoutValidation("Authorization", header));
                Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{method} {pattern} with {header[..5]}: {response.StatusCode}");
            }
        }
    }

    [Fact]
    [Trait("Attack", "D4")]
    public async Task AdminRoute_WithATenantsCredential_Is403()
    {
        foreach ((string method, string pattern, string address) in Routes.Where(route => route.Pattern.StartsWith("/admin", StringComparison.Ordinal) || (route.Pattern.StartsWith("/dashboard", StringComparison.Ordinal) && !s_open.Contains(route.Pattern))))
        {
            using HttpResponseMessage response = await tenants.SendAsync(new HttpMethod(method), address, tenants.Alpha.Text);
            Assert.True(response.StatusCode == HttpStatusCode.Forbidden, $"{method} {pattern}: {response.StatusCode}");
        }
    }

    /// <summary>Keys with every scope, so that nothing but their suspension refuses them.</summary>
    [Fact]
    [Trait("Attack", "D4")]
    public async Task Route_WithASuspendedKey_Is403AndSaysSo()
    {
        NewKey caller = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference | KeyScopes.Usage | KeyScopes.Admin);
        NewKey operators = await tenants.CreateAsync(null, KeyScopes.Admin);
        Assert.StartsWith("200", await AnswerAsync(HttpMethod.Get, "/v1/models", null, caller.Text), StringComparison.Ordinal);
        foreach (NewKey key in new[] { caller, operators })
        {
            using HttpResponseMessage made = await tenants.SendAsync(
                HttpMethod.Post, tenants.Admin("/admin/suspensions"), tenants.Operator.Text, $$"""{"kind":"key","name":"{{key.Key.Id}}"}""");
            Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        }

        foreach ((string method, string pattern, string address) in Routes.Where(route => !s_open.Contains(route.Pattern)))
        {
            bool isApi = tenants.Host.Routes.Api.Any(route => route.RoutePattern.RawText == pattern);
            foreach (NewKey key in isApi ? [caller] : new[] { caller, operators })
            {
                using HttpResponseMessage response = await tenants.SendAsync(new HttpMethod(method), address, key.Text);
                Assert.True(response.StatusCode == HttpStatusCode.Forbidden, $"{method} {pattern}: {response.StatusCode}");
                Assert.Equal("suspended", await CodeOf(response));
            }
        }

        string login = await AnswerAsync(HttpMethod.Post, tenants.Admin("/dashboard/login"), $$"""{"key":"{{operators.Text}}"}""");
        Assert.StartsWith("403", login, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "D4")]
    public async Task Route_OnTheOtherListener_DoesNotExist()
    {
        using HttpResponseMessage admin = await tenants.SendAsync(HttpMethod.Get, "/admin/tenants", tenants.Alpha.Text);
        using HttpResponseMessage api = await tenants.SendAsync(HttpMethod.Get, tenants.Admin("/v1/models"), tenants.Operator.Text);

        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (admin.StatusCode, api.StatusCode));
    }

    [Fact]
    [Trait("Attack", "I5")]
    public async Task Model_OfAnotherTenant_AnswersAsOneThatDoesNotExist()
    {
        foreach ((string route, string body) in s_modelRoutes)
        {
            string own = await AnswerAsync(HttpMethod.Post, route, body.Replace("MODEL", "alpha-model", StringComparison.Ordinal));
            string other = await AnswerAsync(HttpMethod.Post, route, body.Replace("MODEL", "beta-model", StringComparison.Ordinal));
            string unknown = await AnswerAsync(HttpMethod.Post, route, body.Replace("MODEL", UnknownModel, StringComparison.Ordinal));

            Assert.StartsWith("404", unknown, StringComparison.Ordinal);
            Assert.Equal(unknown, other);
            Assert.NotEqual(unknown, own);
        }
    }

    /// <summary>Every route with an id in its address; a new one must be added here.</summary>
    [Fact]
    [Trait("Attack", "I5")]
    public async Task Id_OfAnotherTenant_AnswersAsOneThatDoesNotExist()
    {
        string file = await UploadAsync(tenants.Beta.Text);
        string batch = await CreateBatchAsync(tenants.Beta.Text, file);
        var others = new Dictionary<string, (string Other, string Unknown)>
        {
            ["/v1/models/{id}"] = ("beta-model", UnknownModel),
            ["/v1/generations/{id}"] = ("chatcmpl-" + new string('1', 32), "chatcmpl-" + new string('2', 32)),
            ["/v1/responses/{id}"] = ("resp_" + new string('1', 32), "resp_" + new string('2', 32)),
            ["/v1/files/{id}"] = (file, Unknown(file)),
            ["/v1/batches/{id}"] = (batch, Unknown(batch)),
            ["/v1/nodes/{name}"] = ("node-of-beta", "node-of-nobody"),
            ["/admin/tenants/{tenant}"] = ("beta", "gamma"),
            ["/admin/cells/{tenant}"] = ("beta", "gamma"),
            ["/admin/generations/{id}"] = (new string('1', 32), new string('2', 32)),
            ["/admin/usage/{tenant}"] = ("beta", "gamma"),
            ["/admin/keys/{key}"] = (tenants.Beta.Key.Id, "0123456789ab"),
            ["/admin/suspensions/{kind}"] = ($"key/{tenants.Beta.Key.Id}", "key/0123456789ab"),
        };

        foreach ((string method, string pattern, string address) in Routes.Where(route => route.Pattern.Contains('{', StringComparison.Ordinal)))
        {
            string item = pattern[..(pattern.IndexOf('}', StringComparison.Ordinal) + 1)];
            Assert.True(others.TryGetValue(item, out (string Other, string Unknown) ids), $"{pattern} is not tested");
            bool admin = pattern.StartsWith("/admin", StringComparison.Ordinal);
            string key = admin || item == "/v1/nodes/{name}" ? tenants.AlphaAdmin.Text : tenants.Alpha.Text;
            string place = address.Contains("ID/ID", StringComparison.Ordinal) ? "ID/ID" : "ID";
            string other = await AnswerAsync(new HttpMethod(method), address.Replace(place, ids.Other, StringComparison.Ordinal), null, key);
            string unknown = await AnswerAsync(new HttpMethod(method), address.Replace(place, ids.Unknown, StringComparison.Ordinal), null, key);

            Assert.Equal(unknown, other);
            Assert.Contains(unknown[..3], admin ? ["404", "403"] : new[] { "404" });
        }

        Assert.StartsWith("200", await AnswerAsync(HttpMethod.Get, "/v1/files/" + file, null, tenants.Beta.Text), StringComparison.Ordinal);
        Assert.StartsWith("200", await AnswerAsync(HttpMethod.Get, "/v1/batches/" + batch, null, tenants.Beta.Text), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "I5")]
    public async Task Lists_OfATenantsAdministrator_AreItsOwn()
    {
        string keys = await AnswerAsync(HttpMethod.Get, tenants.Admin("/admin/keys?tenant=beta"), null, tenants.AlphaAdmin.Text);
        string all = await AnswerAsync(HttpMethod.Get, tenants.Admin("/admin/tenants"), null, tenants.AlphaAdmin.Text);
        string cells = await AnswerAsync(HttpMethod.Get, tenants.Admin("/admin/cells"), null, tenants.AlphaAdmin.Text);
        string made = await AnswerAsync(HttpMethod.Post, tenants.Admin("/admin/keys"), """{"tenant":"beta","name":"n","scopes":["inference"]}""", tenants.AlphaAdmin.Text);

        Assert.Contains(tenants.Alpha.Key.Id, keys, StringComparison.Ordinal);
        Assert.DoesNotContain("beta", keys + all + cells, StringComparison.Ordinal);
        Assert.StartsWith("404", made, StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Attack", "I6")]
    [InlineData("X-Tenant", "beta")]
    [InlineData("X-Lamina-Tenant", "beta")]
    [InlineData("X-Forwarded-Host", "beta.example")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("Forwarded", "for=127.0.0.1;host=beta")]
    [InlineData("Host", "beta")]
    [InlineData("X-Original-URL", "/admin/tenants")]
    [InlineData("X-HTTP-Method-Override", "DELETE")]
    [InlineData("X-Api-Key", "BETA")]
    [InlineData("Api-Key", "BETA")]
    [InlineData("Cookie", "tenant=beta; key=BETA")]
    [InlineData("OpenAI-Organization", "beta")]
    [InlineData("OpenAI-Project", "beta")]
    public async Task Header_NamingAnotherTenant_IsIgnored(string name, string value)
    {
        string plain = await AnswerAsync(HttpMethod.Get, "/v1/models", null);
        string tricked = await AnswerAsync(HttpMethod.Get, "/v1/models?tenant=beta&api_key=" + tenants.Beta.Text, null, headers: headers =>
            headers.TryAddWithoutValidation(name, value.Replace("BETA", tenants.Beta.Text, StringComparison.Ordinal)));

        Assert.Equal(plain, tricked);
        Assert.Contains("alpha-model", tricked, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "I6")]
    public async Task Field_NamingAnotherTenant_IsIgnoredOrRefused()
    {
        string body = s_modelRoutes["/v1/chat/completions"].Replace("MODEL", "beta-model", StringComparison.Ordinal);
        string plain = await AnswerAsync(HttpMethod.Post, "/v1/chat/completions", body);

        Assert.Equal(plain, await AnswerAsync(HttpMethod.Post, "/v1/chat/completions", body[..^1] + ""","user":"beta"}"""));
        Assert.StartsWith("400", await AnswerAsync(HttpMethod.Post, "/v1/chat/completions", body[..^1] + ""","tenant":"beta"}"""), StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Attack", "I6")]
    public async Task Authorization_TwoHeaders_Is401()
    {
        string answer = await RawHttp.SendAsync(
            tenants.Host.HttpAddress, $"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenants.Alpha.Text}\r\nAuthorization: Bearer {tenants.Beta.Text}\r\nConnection: close\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 401", answer, StringComparison.Ordinal);
    }

    private static IEnumerable<(string Method, string Pattern, string Address)> Requests(RouteEndpoint route, string listener)
    {
        string pattern = route.RoutePattern.RawText!;
        string path = System.Text.RegularExpressions.Regex.Replace(pattern, "{[^}]+}", "ID");
        IReadOnlyList<string> methods = route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods;
        return methods.Select(method => (method, pattern, listener + path));
    }

    /// <summary>Status, headers but the date, and body.</summary>
    private async Task<string> AnswerAsync(HttpMethod method, string address, string? body, string? key = null, Action<HttpRequestHeaders>? headers = null)
    {
        using HttpResponseMessage response = await tenants.SendAsync(method, address, key ?? tenants.Alpha.Text, body, headers);
        return await TextOf(response);
    }

    private static async Task<string> TextOf(HttpResponseMessage response)
    {
        response.Headers.Date = null;

        // Drawn by lot, so that it tells nothing.
        response.Headers.Remove("X-Request-Id");
        return $"{(int)response.StatusCode}\n{response.Headers}{response.Content.Headers}\n{await response.Content.ReadAsStringAsync()}";
    }

    private static async Task<string?> CodeOf(HttpResponseMessage response)
    {
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return json.RootElement.GetProperty("error").GetProperty("code").GetString();
    }

    private async Task<string> UploadAsync(string key)
    {
        const string Line = """{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"beta-model","messages":[{"role":"user","content":"hi"}]}}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/files")
        {
            Content = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StringContent(Line), "file", "lines.jsonl" } },
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using HttpResponseMessage response = await tenants.Http.SendAsync(request);
        return await IdOf(response);
    }

    private async Task<string> CreateBatchAsync(string key, string file)
    {
        using HttpResponseMessage response = await tenants.SendAsync(
            HttpMethod.Post, "/v1/batches", key, $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""");
        return await IdOf(response);
    }

    private static async Task<string> IdOf(HttpResponseMessage response)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.GetProperty("id").GetString()!;
    }

    /// <summary>An id of the same form that nobody has.</summary>
    private static string Unknown(string id) => id[..^6] + (id.EndsWith("abcdef", StringComparison.Ordinal) ? "fedcba" : "abcdef");
}
