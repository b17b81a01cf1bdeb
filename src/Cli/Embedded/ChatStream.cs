using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Embedded;

internal readonly record struct ChatTiming(int Tokens, double FirstTokenMilliseconds, double TokensPerSecond);

/// <summary>Asks the HTTP API one question at a time, as any client would, and shows the answer while it streams.</summary>
internal sealed class ChatStream(HttpClient http, string model) : IDisposable
{
    public ChatStream(Uri api, string model)
        : this(new HttpClient { BaseAddress = api, Timeout = TimeSpan.FromMinutes(5) }, model)
    {
    }

    public async Task<ChatTiming> AskAsync(string question, TextWriter output, CancellationToken cancellation)
    {
        JsonObject body = new()
        {
            ["model"] = model,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }),
            ["temperature"] = 0,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
        };
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(body) };
        long started = Stopwatch.GetTimestamp();
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (!response.IsSuccessStatusCode)
        {
            JsonNode? error = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation));
            throw new CommandException($"the API answered {(int)response.StatusCode}: {error?["error"]?["message"]}");
        }

        return await ShowAsync(await response.Content.ReadAsStreamAsync(cancellation), started, output, cancellation);
    }

    public void Dispose() => http.Dispose();

    private static async Task<ChatTiming> ShowAsync(Stream events, long started, TextWriter output, CancellationToken cancellation)
    {
        long first = 0;
        long last = started;
        int tokens = 0;
        await foreach (SseItem<string> item in SseParser.Create(events).EnumerateAsync(cancellation))
        {
            if (item.Data == "[DONE]")
            {
                break;
            }

            using JsonDocument chunk = JsonDocument.Parse(item.Data);
            if (chunk.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object)
            {
                tokens = usage.GetProperty("completion_tokens").GetInt32();
            }

            foreach (JsonElement choice in chunk.RootElement.GetProperty("choices").EnumerateArray())
            {
                if (choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) && content.GetString() is { Length: > 0 } piece)
                {
                    last = Stopwatch.GetTimestamp();
                    first = first == 0 ? last : first;
                    await output.WriteAsync(piece.AsMemory(), cancellation);
                    await output.FlushAsync(cancellation);
                }
            }
        }

        double decodeSeconds = Stopwatch.GetElapsedTime(first, last).TotalSeconds;
        return new ChatTiming(tokens, Stopwatch.GetElapsedTime(started, first).TotalMilliseconds, decodeSeconds > 0 ? (tokens - 1) / decodeSeconds : 0);
    }
}
