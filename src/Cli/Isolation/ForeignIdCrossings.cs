using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Lamina.Cli.Isolation;

/// <summary>What one tenant keeps under an id, asked for by another: it must look exactly like an id that does not exist. What is made for this is removed.</summary>
internal static class ForeignIdCrossings
{
    /// <summary>An id of theirs, and the routes that name it.</summary>
    private sealed record Kept(string Id, string[] Routes, string[] Removals);

    public static async Task<IReadOnlyList<Crossing>> TryAsync(Uri api, HttpClient http, Insider from, Insider into, CancellationToken cancellation)
    {
        if (from.Key is null || into.Key is null)
        {
            return [Crossing.NotTried(from.Name, into.Name, "ids of files, batches and answers", $"no key of {(from.Key is null ? from.Name : into.Name)} was given (--key TENANT=FILE)")];
        }

        var found = new List<Crossing>();
        string? model = await ApiCrossings.AnsweringModelAsync(api, http, into.Key, cancellation);
        (string What, Func<Task<Kept?>> Make)[] kinds =
        [
            ("file and batch", () => FileAsync(api, http, into.Key, cancellation)),
            ("response", () => model is null ? Task.FromResult<Kept?>(null) : ResponseAsync(api, http, into.Key, model, cancellation)),
            ("generation", () => model is null ? Task.FromResult<Kept?>(null) : GenerationAsync(api, http, into.Key, model, cancellation)),
        ];
        foreach ((string what, Func<Task<Kept?>> make) in kinds)
        {
            if (await make() is not { } kept)
            {
                found.Add(Crossing.NotTried(from.Name, into.Name, $"a {what} of {into.Name}", $"{into.Name} cannot make one just now"));
                continue;
            }

            string unknown = kept.Id[..^8] + (kept.Id.EndsWith("00000000", StringComparison.Ordinal) ? "11111111" : "00000000");
            foreach (string route in kept.Routes)
            {
                string asked = await AnswerAsync(route, kept.Id), none = await AnswerAsync(route, unknown);
                found.Add(asked == none && asked[0] == '4'
                    ? Crossing.Held(from.Name, into.Name, $"{route.Split('\n')[0]} of {into.Name}", $"{asked[..3]}, as an id that does not exist")
                    : Crossing.Crossed(from.Name, into.Name, $"{route.Split('\n')[0]} of {into.Name}", $"answered with {asked[..3]}, and an id that does not exist with {none[..3]}"));
            }

            foreach (string removal in kept.Removals)
            {
                await ApiCrossings.AskAsync(api, http, removal.Replace("{id}", kept.Id, StringComparison.Ordinal), into.Key, null, cancellation);
            }
        }

        return found;

        // A route, and a body after a line's end where it takes one.
        async Task<string> AnswerAsync(string route, string id)
        {
            string[] parts = route.Replace("{id}", id, StringComparison.Ordinal).Split('\n');
            (HttpStatusCode status, string body) = await ApiCrossings.AskAsync(api, http, parts[0], from.Key, parts.Length > 1 ? parts[1] : null, cancellation, into.Name);
            return $"{(int)status} {body.Replace(id, "ID", StringComparison.Ordinal)}";
        }
    }

    private static async Task<Kept?> FileAsync(Uri api, HttpClient http, string key, CancellationToken cancellation)
    {
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Encoding.UTF8.GetBytes("{}\n")), "file", "verify-isolation.jsonl" } };
        return await IdAsync(http, new HttpRequestMessage(HttpMethod.Post, new Uri(api, "v1/files")) { Content = form }, key, cancellation) is { } id
            ? new Kept(
                id,
                ["GET /v1/files/{id}", "GET /v1/files/{id}/content", "DELETE /v1/files/{id}", "POST /v1/batches\n{\"input_file_id\":\"{id}\",\"endpoint\":\"/v1/chat/completions\",\"completion_window\":\"24h\"}"],
                ["DELETE /v1/files/{id}"])
            : null;
    }

    private static async Task<Kept?> ResponseAsync(Uri api, HttpClient http, string key, string model, CancellationToken cancellation)
    {
        string body = JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["input"] = "hi", ["max_output_tokens"] = 16, ["store"] = true });
        return await IdAsync(http, Post(api, "v1/responses", body), key, cancellation) is { } id
            ? new Kept(id, ["GET /v1/responses/{id}", "GET /v1/responses/{id}/input_items", "DELETE /v1/responses/{id}"], ["DELETE /v1/responses/{id}"])
            : null;
    }

    private static async Task<Kept?> GenerationAsync(Uri api, HttpClient http, string key, string model, CancellationToken cancellation)
    {
        string body = JsonSerializer.Serialize(new Dictionary<string, object> { ["model"] = model, ["prompt"] = "hi", ["max_tokens"] = 1 });
        HttpRequestMessage request = Post(api, "v1/completions", body);
        request.Headers.Add("Idempotency-Key", Guid.NewGuid().ToString("N"));
        return await IdAsync(http, request, key, cancellation) is { } id
            ? new Kept(id, ["GET /v1/generations/{id}/events", "DELETE /v1/generations/{id}"], ["DELETE /v1/generations/{id}"])
            : null;
    }

    private static HttpRequestMessage Post(Uri api, string route, string body) => new(HttpMethod.Post, new Uri(api, route)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };

    private static async Task<string?> IdAsync(HttpClient http, HttpRequestMessage request, string key, CancellationToken cancellation)
    {
        using (request)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
            using HttpResponseMessage response = await http.SendAsync(request, cancellation);
            if (!response.IsSuccessStatusCode)
            {
                return null;
            }

            using JsonDocument json = JsonDocument.Parse(await response.Content.ReadAsStringAsync(cancellation));
            return json.RootElement.TryGetProperty("id", out JsonElement id) && id.GetString() is { Length: > 16 } text ? text : null;
        }
    }
}
