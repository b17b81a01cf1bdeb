using System.Net.Http.Json;
using System.Text;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Operations;

/// <summary>One request of a traced caller, followed through the processes that answered it.</summary>
public sealed partial class TracingTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Request_OfATracedCaller_GivesOneTraceFromTheDoorToTheTail()
    {
        using TraceReceiver receiver = new();
        using LaminaProcess serve = LaminaProcess.Start(["serve", Repository.File("models/lamina-tiny-q8_0.gguf"), "--nodes", "3", "--listen", "127.0.0.1:0"], new Dictionary<string, string>
        {
            ["LAMINA__Tracing__Endpoint"] = receiver.Address.ToString(),
            ["LAMINA__Tracing__Protocol"] = "Http",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
        });
        using HttpClient http = new() { BaseAddress = new Uri(Address().Match(await serve.WaitForLineAsync("API at", s_limit)).Value), Timeout = s_limit };
        string secret = Guid.NewGuid().ToString("N"), trace = Guid.NewGuid().ToString("N"), caller = Guid.NewGuid().ToString("N")[..16];
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions")
        {
            Content = JsonContent.Create(new { model = ServedModel.ModelName, messages = new[] { new { role = "user", content = secret } }, max_tokens = 8, temperature = 0 }),
        };
        request.Headers.TryAddWithoutValidation("traceparent", $"00-{trace}-{caller}-01");
        using HttpResponseMessage response = await http.SendAsync(request);
        string answer = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, answer);

        ReceivedSpan[] spans = [];
        await Eventually.TrueAsync(() => Task.FromResult((spans = [.. receiver.Spans.Where(span => span.TraceId == trace)]).Length >= 6), s_limit, () => "of the trace came: " + string.Join(", ", spans.Select(span => span.Name)));
        ReceivedSpan door = Assert.Single(spans, span => span.Name == "POST /v1/chat/completions");
        ReceivedSpan generate = Assert.Single(spans, span => span.Name == "generate");
        ReceivedSpan head = Assert.Single(spans, span => span.Name == "head");
        ReceivedSpan tail = Assert.Single(spans, span => span.Name == "tail");
        ReceivedSpan[] stages = [.. spans.Where(span => span.Name == "stage")];
        Assert.Equal((6, 2), (spans.Length, stages.Length));
        Assert.Equal([caller, door.SpanId, generate.SpanId, head.SpanId], new[] { door, generate, head, tail }.Select(span => span.ParentId));
        Assert.All(stages, stage => Assert.Equal(head.SpanId, stage.ParentId));
        Assert.Equal(["lamina-coordinator", "lamina-coordinator", "lamina-node", "lamina-node"], new[] { door, generate, head, tail }.Select(span => span.Service));

        // Three processes, one of which is the head as well as the first stage.
        Assert.Equal(3, stages.Append(tail).Select(span => span.Instance).Distinct().Count());
        Assert.Contains(head.Instance, stages.Select(span => span.Instance));
        Assert.Equal("200", door.Tags["http.response.status_code"]);
        Assert.Equal(head.Tags["gen_ai.usage.output_tokens"], generate.Tags["gen_ai.usage.output_tokens"]);
        Assert.Equal(spans.Length, spans.Select(span => span.SpanId).Distinct().Count());
        Assert.False(receiver.Holds(Encoding.UTF8.GetBytes(secret)), "the prompt is in what was exported");

        // Where the caller says that it is not traced, nothing is.
        string untraced = Guid.NewGuid().ToString("N");
        using HttpRequestMessage quiet = new(HttpMethod.Get, "v1/models");
        quiet.Headers.TryAddWithoutValidation("traceparent", $"00-{untraced}-{caller}-00");
        (await http.SendAsync(quiet)).Dispose();
        using HttpRequestMessage after = new(HttpMethod.Get, "v1/models");
        string last = Guid.NewGuid().ToString("N");
        after.Headers.TryAddWithoutValidation("traceparent", $"00-{last}-{caller}-01");
        (await http.SendAsync(after)).Dispose();
        await Eventually.TrueAsync(() => receiver.Spans.Any(span => span.TraceId == last), s_limit, "the last request's span never came");
        Assert.DoesNotContain(receiver.Spans, span => span.TraceId == untraced);
    }

    [Theory]
    [InlineData("Endpoint", "collector", "Tracing:Endpoint is 'collector', expected an http or https URL")]
    [InlineData("SampleRatio", "2", "Tracing:SampleRatio is 2, expected 0 to 1")]
    [InlineData("Colour", "red", "Colour")]
    public async Task Tracing_ConfiguredWrongly_IsRefusedWithKeyAndValue(string key, string value, string sentence)
    {
        using LaminaProcess serve = await LaminaProcess.RunAsync(s_limit, ["serve", "--listen", "127.0.0.1:0"], new Dictionary<string, string>
        {
            ["LAMINA__Tracing__Endpoint"] = "http://127.0.0.1:1",
            [$"LAMINA__Tracing__{key}"] = value,
        });
        Assert.Equal(1, serve.ExitCode);
        Assert.Contains(sentence, serve.Error, StringComparison.Ordinal);
    }

    [GeneratedRegex("http://[^/]+/")]
    private static partial Regex Address();
}
