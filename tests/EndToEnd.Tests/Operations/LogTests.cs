using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Operations;

/// <summary>The log of a coordinator and a node: one JSON object a line, with the request's id, at the level that the configuration names, and never a caller's text.</summary>
public sealed partial class LogTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly bool s_long = Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1";

    private readonly EnvironmentCell _cell = new();

    /// <summary>What a level shows is shown at Trace too; the others are for the day on which somebody writes a branch for one of them.</summary>
    public static TheoryData<string> Levels => s_long ? ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"] : ["Trace", "Information"];

    [Theory]
    [MemberData(nameof(Levels))]
    public async Task Log_AtEachLevel_IsJsonWithoutAWordOfPromptsOrAnswers(string level)
    {
        (LaminaProcess coordinator, LaminaProcess node, HttpClient http) = await StartAsync(level);
        using (http)
        {
            string asked = Guid.NewGuid().ToString("N"), answered = Guid.NewGuid().ToString("N")[..12];

            // The grammar forces the secret into the answer, so that it is looked for among completions too.
            string answer = await AskAsync(http, new JsonObject { ["prompt"] = asked, ["max_tokens"] = 64, ["grammar"] = $"root ::= \"{answered}\"" }, "canary-request.1");
            Assert.Contains(answered, answer, StringComparison.Ordinal);
            await AskAsync(http, new JsonObject { ["prompt"] = asked, ["max_tokens"] = 8, ["stream"] = true }, "streamed");
            await AskAsync(http, new JsonObject { ["prompt"] = asked, ["max_tokens"] = "many " + asked }, "refused");
            await AskAsync(http, new JsonObject { ["prompt"] = asked, ["grammar"] = $"root ::= {asked}" }, "grammar");
            using (HttpResponseMessage malformed = await http.PostAsync("v1/chat/completions", new StringContent("{\"messages\": \"" + asked, Encoding.UTF8, "application/json")))
            {
                Assert.Equal(HttpStatusCode.BadRequest, malformed.StatusCode);
                Assert.Matches("^[0-9a-f]{16}$", malformed.Headers.GetValues("X-Request-Id").Single());
            }

            if (level is "Trace" or "Debug")
            {
                await Eventually.TrueAsync(() => Entries(coordinator).Any(entry => entry["request"]?.GetValue<string>() == "canary-request.1"), s_limit, "no entry of the request with its id\n" + coordinator.Error);
            }

            foreach (LaminaProcess process in (LaminaProcess[])[coordinator, node])
            {
                Assert.All(Entries(process), entry => Assert.True(entry["time"] is not null && entry["level"] is not null && entry["category"] is not null && entry["message"] is not null));
                foreach (string secret in (string[])[asked, answered])
                {
                    Assert.DoesNotContain(secret, process.Error + process.Output, StringComparison.OrdinalIgnoreCase);
                    Assert.DoesNotContain(Convert.ToBase64String(Encoding.UTF8.GetBytes(secret))[..^4], process.Error, StringComparison.Ordinal);
                }
            }
        }

        // Without the level nothing but the address is said, which whoever started the process waits for.
        Assert.True(level != "None" || Entries(coordinator).Count() == 1, coordinator.Error);
    }

    [Fact]
    public async Task LogLevel_ThatIsNone_IsRefusedWithKeyAndValue()
    {
        using LaminaProcess serve = await LaminaProcess.RunAsync(s_limit, ["serve", "--listen", "127.0.0.1:0"], new Dictionary<string, string> { ["LAMINA__Logging__Level"] = "Loud" });
        Assert.Equal(1, serve.ExitCode);
        Assert.Contains("'Loud'", serve.Error, StringComparison.Ordinal);
        Assert.Contains("Logging:Level", serve.Error, StringComparison.Ordinal);
    }

    public void Dispose() => _cell.Dispose();

    private static IEnumerable<JsonObject> Entries(LaminaProcess process) => process.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject());

    private static async Task<string> AskAsync(HttpClient http, JsonObject body, string id)
    {
        body["model"] = ServedModel.ModelName;
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(body) };
        request.Headers.TryAddWithoutValidation("X-Request-Id", id);
        using HttpResponseMessage response = await http.SendAsync(request);
        Assert.Equal(id, response.Headers.GetValues("X-Request-Id").Single());
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<(LaminaProcess Coordinator, LaminaProcess Node, HttpClient Http)> StartAsync(string level)
    {
        (string, string)[] logging = [("Logging__Level", level), ("Logging__Levels__Microsoft.AspNetCore", level)];
        LaminaProcess coordinator = _cell.StartCoordinator(logging);
        string started = await coordinator.WaitForLineAsync("coordinator: API at", s_limit);
        LaminaProcess node = _cell.StartNode(started, logging);
        HttpClient http = new() { BaseAddress = new Uri(Address().Match(started).Value), Timeout = s_limit };
        await Eventually.TrueAsync(async () => (await http.GetAsync("health/ready")).StatusCode == HttpStatusCode.OK, s_limit, () => coordinator.Error + node.Error);
        return (coordinator, node, http);
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
