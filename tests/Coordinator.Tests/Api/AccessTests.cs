using System.Net;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>Who may reach what, on a coordinator with two tenants.</summary>
public class AccessTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    private static string Chat(string model) => $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}]}""";

    [Fact]
    public async Task Models_OfACaller_AreItsTenants()
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", tenants.Beta.Text);
        string list = await response.Content.ReadAsStringAsync();

        Assert.Contains("beta-model", list, StringComparison.Ordinal);
        Assert.DoesNotContain("alpha", list, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_OfACaller_TellOfNobodyElse()
    {
        (await tenants.SendAsync(HttpMethod.Post, "/v1/chat/completions", tenants.Alpha.Text, Chat("alpha-model"))).Dispose();
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/metrics", tenants.Beta.Text);
        string text = await response.Content.ReadAsStringAsync();

        Assert.Contains("lamina_deployment_ready{model=\"beta-model\",tenant=\"beta\"} 0", text, StringComparison.Ordinal);
        Assert.DoesNotContain("alpha", text, StringComparison.Ordinal);
        Assert.DoesNotContain("lamina_http_requests_total{", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OperatorsKey_OnTheApi_Is403()
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", tenants.Operator.Text);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task UsageKey_Asking_Is403AndReading_Is200()
    {
        using HttpResponseMessage asked = await tenants.SendAsync(HttpMethod.Post, "/v1/chat/completions", tenants.AlphaUsage.Text, Chat("alpha-model"));
        using HttpResponseMessage read = await tenants.SendAsync(HttpMethod.Get, "/status.json", tenants.AlphaUsage.Text);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.OK), (asked.StatusCode, read.StatusCode));
    }

    [Fact]
    public async Task Key_Missing_Is401WithOpenAIsBody()
    {
        using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", null);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
        Assert.Equal(
            """{"error":{"message":"an API key is required: send it as \u0027Authorization: Bearer lam_...\u0027","type":"invalid_request_error","param":null,"code":"missing_api_key"}}""",
            await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Key_Revoked_Is401WithinASecond()
    {
        NewKey made = await tenants.CreateAsync(TestState.Alpha, KeyScopes.Inference);
        await tenants.Host.Access!.Ring.RefreshAsync(CancellationToken.None);
        Assert.Equal(HttpStatusCode.OK, (await tenants.SendAsync(HttpMethod.Get, "/v1/models", made.Text)).StatusCode);

        await tenants.Host.Access.Keys.RevokeAsync(made.Key.Id, null, CancellationToken.None);
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        while ((await tenants.SendAsync(HttpMethod.Get, "/v1/models", made.Text)).StatusCode != HttpStatusCode.Unauthorized)
        {
            Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60));
            await Task.Delay(10);
        }
    }
}
