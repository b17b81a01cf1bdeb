using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>A streamed chat as a client has it: whole, or not.</summary>
internal static class Chat
{
    public const string Model = "lamina-tiny-q8_0";

    /// <summary>The whole answer; throws when it is refused, or ends without saying so.</summary>
    /// <param name="pace">What a slow reader takes for each piece.</param>
    public static async Task<string> AskAsync(HttpClient http, string question, int maxTokens = 16, int? seed = null, TimeSpan pace = default, string model = Model, CancellationToken cancellation = default)
    {
        var body = new Dictionary<string, object> { ["model"] = model, ["messages"] = new[] { new { role = "user", content = question } }, ["max_tokens"] = maxTokens, ["min_tokens"] = maxTokens, ["stream"] = true };
        if (seed is not null)
        {
            body["seed"] = seed;
        }
        else
        {
            body["temperature"] = 0;
        }

        using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(body) };
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (!response.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellation)}");
        }

        var answer = new StringBuilder();
        (string? reason, bool done) = (null, false);
        await foreach (SseItem<string> item in SseParser.Create(await response.Content.ReadAsStreamAsync(cancellation)).EnumerateAsync(cancellation))
        {
            if (item.Data == "[DONE]")
            {
                done = true;
                break;
            }

            if (pace > TimeSpan.Zero)
            {
                await Task.Delay(pace, cancellation);
            }

            using JsonDocument chunk = JsonDocument.Parse(item.Data);
            if (!chunk.RootElement.TryGetProperty("choices", out JsonElement choices))
            {
                throw new InvalidDataException(item.Data);
            }

            foreach (JsonElement choice in choices.EnumerateArray())
            {
                reason = choice.GetProperty("finish_reason").GetString() ?? reason;
                answer.Append(choice.GetProperty("delta").TryGetProperty("content", out JsonElement content) ? content.GetString() : "");
            }
        }

        return done && reason is "stop" or "length" ? answer.ToString() : throw new InvalidDataException($"the stream was cut after '{answer}' ({reason})");
    }
}
