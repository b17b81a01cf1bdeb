using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Models.Trust;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

public sealed class RefusedModelTests
{
    /// <summary>A model that the cell's policy does not take in is forbidden, which no waiting changes.</summary>
    [Trait("Attack", "M2")]
    [Fact]
    public async Task Model_BelowTheTrustThatTheCellAsksFor_IsForbiddenAndNotMerelyUnready()
    {
        await using TestCoordinator coordinator = await TestCoordinator.StartAsync(
            [new ModelOptions { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") }],
            change: options => options with { Cells = [options.Cells[0] with { Import = new ModelImportOptions { LeastTrust = ModelTrust.Verified, Sandbox = false } }] });
        HttpStatusCode status = HttpStatusCode.ServiceUnavailable;
        string body = "";
        for (long begun = Stopwatch.GetTimestamp(); status == HttpStatusCode.ServiceUnavailable && Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(120); await Task.Delay(20))
        {
            using HttpResponseMessage response = await coordinator.PostAsync("/v1/completions", """{"model":"tiny","prompt":"a"}""");
            (status, body) = (response.StatusCode, await response.Content.ReadAsStringAsync());
        }

        Assert.Equal((HttpStatusCode.Forbidden, "model_refused"), (status, JsonNode.Parse(body)!["error"]!["code"]!.GetValue<string>()));
        Assert.DoesNotContain("gguf", body, StringComparison.Ordinal);
        using HttpResponseMessage side = await coordinator.PostAsync("/tokenize", """{"model":"tiny","content":"a"}""");
        Assert.Equal(HttpStatusCode.Forbidden, side.StatusCode);
    }
}
