using System.Text;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Api.Status;
using Lamina.Coordinator.Cells;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Tests.Api;

public class ResponseTests
{
    [Trait("Attack", "U2")]
    [Fact]
    public async Task Sse_TextOfAnyKind_StaysInOneDataLine()
    {
        var context = new DefaultHttpContext();
        using var body = new MemoryStream();
        context.Response.Body = body;
        byte[] json = JsonBody.Of(json => json.WriteStringValue("a\r\nb\u2028</script>\u001b[31mé"));

        await SseWriter.WriteAsync(context, new[] { new NumberedEvent(7, json) }.ToAsyncEnumerable());

        string text = Encoding.UTF8.GetString(body.ToArray());
        string[] lines = text.Split('\n');
        Assert.Equal(6, lines.Length);
        Assert.Equal("id: 7", lines[0]);
        Assert.StartsWith("data: \"a\\r\\nb", lines[1], StringComparison.Ordinal);
        Assert.Equal(["", "data: [DONE]", "", ""], lines[2..]);
        Assert.DoesNotContain("</script>", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', text);
        Assert.Equal("text/event-stream", context.Response.ContentType);
    }

    [Fact]
    public void Error_Body_IsOpenAIs() =>
        Assert.Equal(
            """{"error":{"message":"\u0027n\u0027 is not a known field","type":"invalid_request_error","param":"n","code":"unknown_parameter"}}""",
            Encoding.UTF8.GetString(ApiError.Unknown("n").ToBody()));

    [Theory]
    [InlineData(404, "not_found")]
    [InlineData(405, "method_not_allowed")]
    [InlineData(413, "request_too_large")]
    [InlineData(415, "unsupported_media_type")]
    [InlineData(500, "internal_error")]
    [InlineData(400, "bad_request")]
    public void Error_OfStatus_HasItsCode(int status, string code) => Assert.Equal((status, code), (ApiError.OfStatus(status, "PUT").Status, ApiError.OfStatus(status, "PUT").Code));

    [Theory]
    [InlineData("localhost", null, true)]
    [InlineData("localhost:8080", "http://localhost:8080", true)]
    [InlineData("127.0.0.1:8080", null, true)]
    [InlineData("127.1.2.3", null, true)]
    [InlineData("[::1]:8080", "http://[::1]:8080", true)]
    [InlineData("localhost:8080", "http://localhost:3000", false)]
    [InlineData("localhost:8080", "http://evil.example", false)]
    [InlineData("localhost:8080", "null", false)]
    [InlineData("evil.example:8080", null, false)]
    [InlineData("localhost.evil.example", null, false)]
    [InlineData("10.0.0.1:8080", null, false)]
    [InlineData("", null, false)]
    public void LoopbackGuard_HostAndOrigin_MustBeThisMachines(string host, string? origin, bool allowed) =>
        Assert.Equal(allowed, LoopbackGuard.Check(new HostString(host), origin) is null);

    [Theory]
    [InlineData("127.0.0.1:0", true)]
    [InlineData("[::1]:8080", true)]
    [InlineData("localhost:8080", true)]
    [InlineData("0.0.0.0:8080", true)]
    [InlineData("8080", false)]
    [InlineData("127.0.0.1:99999", false)]
    [InlineData("example.org:80", false)]
    public void ListenAddress_NotAnAddressWithPort_IsRefused(string listen, bool allowed)
    {
        if (allowed)
        {
            ListenAddress.Parse(listen);
        }
        else
        {
            Assert.Contains($"'{listen}'", Assert.Throws<ArgumentException>(() => ListenAddress.Parse(listen)).Message, StringComparison.Ordinal);
        }
    }

    [Trait("Attack", "U2")]
    [Fact]
    public void StatusPage_Names_AreEncoded()
    {
        const string Hostile = "<script>alert(1)</script>\"'&";
        var node = new NodeView(new NodeName(Hostile), new Lamina.Cluster.Messages.Endpoint("h", 1), 1, Hostile, 1, 1, 1, 1, []);
        var view = new DeploymentView(Hostile, DeploymentPhase.Failed, 1, [new StageView(0, 0, Hostile, 1, 0, 2, StagePhase.Ready, 1)], 0, 0, Hostile);

        string html = StatusPage.Render(new StatusView(Hostile, [node], [new DeploymentStatus(view, new GenerationProtocol.HeadLoad(0, 0, 0, 0, 0), 0)]));

        Assert.DoesNotContain("<script>", html, StringComparison.Ordinal);
        Assert.Equal(6, html.Split("&lt;script&gt;alert(1)&lt;/script&gt;").Length - 1);
        Assert.DoesNotContain("style=", html, StringComparison.Ordinal);
        Assert.DoesNotContain("onclick", html, StringComparison.Ordinal);
    }
}
