using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>A streamed answer with the time of each of its events.</summary>
internal sealed class TimedStream
{
    private readonly List<long> _times = [];

    private TimedStream(HttpClient http, JsonObject body)
    {
        Answer = ReadAsync(http, body);
    }

    /// <summary>Text, why it ended, and tokens counted by the server.</summary>
    public Task<(string Text, string? Finish, int Tokens)> Answer { get; }

    public int Events
    {
        get
        {
            lock (_times)
            {
                return _times.Count;
            }
        }
    }

    public static TimedStream Start(HttpClient http, JsonObject body) => new(http, body.DeepClone().AsObject());

    /// <summary>Longest time without an event that ends after the moment; zero when the stream had ended before.</summary>
    public TimeSpan LongestGapAfter(long moment)
    {
        lock (_times)
        {
            return Enumerable.Range(1, Math.Max(0, _times.Count - 1)).Where(i => _times[i] > moment)
                .Select(i => Stopwatch.GetElapsedTime(_times[i - 1], _times[i])).DefaultIfEmpty().Max();
        }
    }

    private async Task<(string, string?, int)> ReadAsync(HttpClient http, JsonObject body)
    {
        body["stream"] = true;
        body["stream_options"] = new JsonObject { ["include_usage"] = true };
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(body) };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync())}");
        StringBuilder text = new();
        string? finish = null;
        int tokens = 0;
        bool done = false;
        await foreach (SseItem<string> item in SseParser.Create(await response.Content.ReadAsStreamAsync()).EnumerateAsync())
        {
            lock (_times)
            {
                _times.Add(Stopwatch.GetTimestamp());
            }

            if (item.Data == "[DONE]")
            {
                done = true;
                continue;
            }

            JsonNode json = JsonNode.Parse(item.Data)!;
            Assert.True(json["choices"] is JsonArray, $"an event without choices: {item.Data}");
            foreach (JsonNode? choice in json["choices"]!.AsArray())
            {
                text.Append(choice!["delta"]!["content"]?.GetValue<string>());
                finish = choice["finish_reason"]?.GetValue<string>() ?? finish;
            }

            tokens = json["usage"]?["completion_tokens"]?.GetValue<int>() ?? tokens;
        }

        Assert.True(done, "the stream ended without [DONE]");
        return (text.ToString(), finish, tokens);
    }
}
