using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Audit;

public sealed class GenerationRecordTests
{
    /// <summary>The epoch is that of the pipeline that computed; GenerationRouterTests has what it is after a fail-over.</summary>
    [Fact]
    public async Task Answer_OfAModel_IsRecordedWithTheEpochThatComputedItAndWithoutText()
    {
        await using TestCell cell = await TestCell.StartAsync(new ModelOptions { Name = "tiny", Path = Repository.File("models/lamina-tiny-q8_0.gguf") }, "node-1");
        await cell.ReadyAsync("tiny");
        int epoch = cell.Cell.Deployments[0].Epoch;
        using HttpResponseMessage answer = await cell.Http.PostAsync("/v1/completions", new StringContent("""{"model":"tiny","prompt":"zebra crossing","max_tokens":3,"min_tokens":3,"temperature":0}""", Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        JsonNode? record = null;
        for (long begun = Stopwatch.GetTimestamp(); record is null; await Task.Delay(20))
        {
            Assert.True(Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(60), "nothing was recorded");
            record = cell.Coordinator.Host.Quotas.Audit!.Recent(512, _ => true).Select(json => JsonNode.Parse(json)!).FirstOrDefault(json => json["action"]!.GetValue<string>() == "generation");
        }

        Assert.True(epoch >= 1);
        Assert.Equal(("completed", epoch, 3L), (record["result"]!.GetValue<string>(), record["epoch"]!.GetValue<int>(), record["generated_tokens"]!.GetValue<long>()));
        Assert.DoesNotContain("zebra", record.ToJsonString(), StringComparison.Ordinal);
    }
}
