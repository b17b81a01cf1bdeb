using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>Calls of the HTTP API as a plain client makes them.</summary>
internal static class ChatApi
{
    public static JsonObject Chat(JsonNode messages, int maxTokens = 128) => new()
    {
        ["model"] = ServedModel.ModelName,
        ["messages"] = messages,
        ["temperature"] = 0,
        ["max_tokens"] = maxTokens,
    };

    public static JsonArray User(string text) => [new JsonObject { ["role"] = "user", ["content"] = text }];

    public static async Task<string> AnswerAsync(this HttpClient http, JsonObject body)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("v1/chat/completions", body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        return JsonNode.Parse(text)!["choices"]![0]!["message"]!["content"]!.GetValue<string>();
    }

    /// <summary>The concatenated deltas of a streamed answer, after checking that the stream ended as it must.</summary>
    public static async Task<string> StreamAsync(this HttpClient http, JsonObject body, CancellationToken cancellation = default)
    {
        body["stream"] = true;
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(body) };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(cancellation))}");
        StringBuilder text = new();
        string? finish = null;
        bool done = false;
        await foreach (SseItem<string> item in SseParser.Create(await response.Content.ReadAsStreamAsync(cancellation)).EnumerateAsync(cancellation))
        {
            Assert.False(done, "an event after [DONE]");
            if (item.Data == "[DONE]")
            {
                done = true;
                continue;
            }

            JsonNode choice = JsonNode.Parse(item.Data)!["choices"]![0]!;
            text.Append(choice["delta"]!["content"]?.GetValue<string>());
            finish = choice["finish_reason"]?.GetValue<string>() ?? finish;
        }

        Assert.True(done, "the stream ended without [DONE]");
        Assert.NotNull(finish);
        return text.ToString();
    }

    public static async Task<(int Status, JsonNode? Error)> RefusedAsync(this HttpClient http, HttpContent content, string route = "v1/chat/completions")
    {
        // The refusal may come before the body is read, and the connection end with it: the client waits to be asked for the body.
        using HttpRequestMessage request = new(HttpMethod.Post, route) { Content = content, Headers = { ExpectContinue = true } };
        using HttpResponseMessage response = await http.SendAsync(request);
        string body = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, body.Length == 0 ? null : JsonNode.Parse(body)?["error"]);
    }
}
