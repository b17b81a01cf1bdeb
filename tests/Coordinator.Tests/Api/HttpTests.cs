using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>One coordinator with the built-in model and no nodes.</summary>
public sealed class WaitingCoordinator : IAsyncLifetime
{
    internal TestCoordinator Coordinator { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Coordinator = await TestCoordinator.StartAsync([new ModelOptions { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf"), Nodes = 3 }]);
        while (Coordinator.Host.Cells[0].Deployments[0].Phase != DeploymentPhase.WaitingForNodes)
        {
            Assert.Null(Coordinator.Host.Cells[0].Deployments.FirstOrDefault(d => d.Phase == DeploymentPhase.Failed)?.Problem);
            await Task.Delay(10);
        }
    }

    public ValueTask DisposeAsync() => Coordinator.DisposeAsync();
}

public class HttpTests(WaitingCoordinator waiting) : IClassFixture<WaitingCoordinator>
{
    private const string Chat = """{"model":"tiny","messages":[{"role":"user","content":"hi"}]}""";

    private readonly TestCoordinator _coordinator = waiting.Coordinator;

    [Fact]
    public async Task Chat_ModelWaitsForNodes_Is503WithRetryAfter()
    {
        using HttpResponseMessage response = await _coordinator.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.True(response.Headers.RetryAfter?.Delta > TimeSpan.Zero);
        Assert.Equal("model_not_ready", await CodeOf(response));
    }

    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"other","messages":[{"role":"user","content":"hi"}]}""", 404, "model_not_found", "model")]
    [InlineData("/v1/completions", """{"model":"other","prompt":"hi"}""", 404, "model_not_found", "model")]
    [InlineData("/v1/chat/completions", """{"model":"tiny","messages":[],"n":1}""", 400, "invalid_value", "messages")]
    [InlineData("/v1/chat/completions", "{", 400, "invalid_body", null)]
    [InlineData("/v1/nothing", "{}", 404, "not_found", null)]
    [InlineData("/v1/models", "{}", 405, "method_not_allowed", null)]
    public async Task Post_Wrong_GetsOpenAIsError(string route, string body, int status, string code, string? param)
    {
        using HttpResponseMessage response = await _coordinator.PostAsync(route, body);
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        JsonElement error = json.RootElement.GetProperty("error");

        Assert.Equal((status, code, param), ((int)response.StatusCode, error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task Post_NotJson_Is415()
    {
        using HttpResponseMessage response = await _coordinator.Http.PostAsync("/v1/completions", new StringContent("{}", Encoding.UTF8, "text/plain"));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("unsupported_media_type", await CodeOf(response));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_TooLarge_Is413(bool announced)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("{\"prompt\":\"" + new string('a', 5 << 20) + "\"}", Encoding.UTF8, "application/json"),
        };
        if (!announced)
        {
            request.Headers.TransferEncodingChunked = true;
        }

        try
        {
            using HttpResponseMessage response = await _coordinator.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
            Assert.Equal("request_too_large", await CodeOf(response));
        }
        catch (HttpRequestException)
        {
            // The server may close the connection while the client still sends.
        }
    }

    [Trait("Attack", "I6")]
    [Theory]
    [InlineData("evil.example", null)]
    [InlineData(null, "http://evil.example")]
    public async Task Request_FromAnotherHostOrPage_Is403(string? host, string? origin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Host = host;
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        using HttpResponseMessage response = await _coordinator.Http.SendAsync(request);

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task Models_Deployed_AreListed()
    {
        using JsonDocument list = JsonDocument.Parse(await _coordinator.Http.GetStringAsync("/v1/models"));
        using JsonDocument item = JsonDocument.Parse(await _coordinator.Http.GetStringAsync("/v1/models/tiny"));
        using HttpResponseMessage unknown = await _coordinator.Http.GetAsync("/v1/models/none");

        Assert.Equal("tiny", list.RootElement.GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("model", item.RootElement.GetProperty("object").GetString());
        Assert.Equal("model_not_found", await CodeOf(unknown));
    }

    [Fact]
    public async Task Health_WithoutNodes_IsLiveAndNotReady()
    {
        Assert.Equal(HttpStatusCode.OK, (await _coordinator.Http.GetAsync("/health/live")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _coordinator.Http.GetAsync("/health/ready")).StatusCode);
    }

    [Fact]
    public async Task Status_Page_IsStrictAndShowsTheProblem()
    {
        using HttpResponseMessage response = await _coordinator.Http.GetAsync("/");
        string html = await response.Content.ReadAsStringAsync();

        Assert.Contains("0 of 3 nodes are up", html, StringComparison.Ordinal);
        Assert.Contains("script-src 'self'", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Contains("refresh", await _coordinator.Http.GetStringAsync("/assets/status.js"), StringComparison.Ordinal);
        Assert.NotEmpty(await _coordinator.Http.GetStringAsync("/assets/status.css"));
        using JsonDocument json = JsonDocument.Parse(await _coordinator.Http.GetStringAsync("/status.json"));
        Assert.Equal("WaitingForNodes", json.RootElement.GetProperty("deployments")[0].GetProperty("phase").GetString());
    }

    [Fact]
    public async Task Metrics_AfterRequests_CountThemByRoute()
    {
        await _coordinator.Http.GetAsync("/health/live");
        await _coordinator.Http.GetAsync("/some/path/nobody/has");
        string text = await _coordinator.Http.GetStringAsync("/metrics");

        Assert.Contains("lamina_http_requests_total{route=\"/health/live\",status=\"200\"}", text, StringComparison.Ordinal);
        Assert.Contains("lamina_http_requests_total{route=\"none\",status=\"404\"}", text, StringComparison.Ordinal);
        Assert.Contains("lamina_deployment_ready{model=\"tiny\",tenant=\"acme\"} 0", text, StringComparison.Ordinal);
        Assert.DoesNotContain("nobody", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortInUse_SaysSo()
    {
        IOException refused = await Assert.ThrowsAsync<IOException>(() => TestCoordinator.StartAsync([], listen: _coordinator.Host.HttpAddress.Authority));

        Assert.Equal($"the HTTP API cannot listen on {_coordinator.Host.HttpAddress.Authority}: the port is in use by another process", refused.Message);
    }

    [Fact]
    public async Task Start_OpenToTheNetwork_IsRefused()
    {
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => TestCoordinator.StartAsync([], listen: "0.0.0.0:0"));

        Assert.Contains("plain HTTP would show them keys and prompts", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_MissingModel_SaysWhichKey()
    {
        ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => TestCoordinator.StartAsync([new ModelOptions { Path = "/nowhere/m.gguf" }]));

        Assert.Equal("Coordinator:Cells:0:Models:0:Path is '/nowhere/m.gguf', expected an existing file", refused.Message);
    }

    [Fact]
    public async Task Model_NotGguf_FailsWithASentence()
    {
        string path = Path.Combine(Path.GetTempPath(), $"lamina-{Guid.NewGuid():n}.gguf");
        await File.WriteAllTextAsync(path, "this is not a model");
        try
        {
            await using TestCoordinator coordinator = await TestCoordinator.StartAsync([new ModelOptions { Name = "bad", Path = path }]);
            InvalidOperationException failed = await Assert.ThrowsAsync<InvalidOperationException>(() =>
                coordinator.Host.Cells[0].WaitReadyAsync("bad", null, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(120)));

            Assert.StartsWith("model bad cannot be served: not a GGUF file", failed.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Stop_WithOpenConnections_DoesNotWaitForThem()
    {
        TestCoordinator coordinator = await TestCoordinator.StartAsync([]);
        using var idle = new TcpClient();
        await idle.ConnectAsync(coordinator.Host.HttpAddress.Host, coordinator.Host.HttpAddress.Port);
        await idle.GetStream().WriteAsync("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"u8.ToArray());
        long start = Stopwatch.GetTimestamp();

        await coordinator.DisposeAsync();

        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    private static async Task<string?> CodeOf(HttpResponseMessage response)
    {
        using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return json.RootElement.GetProperty("error").GetProperty("code").GetString();
    }
}
