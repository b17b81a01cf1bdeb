using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Access;

/// <summary>A coordinator's HTTP API as commands ask it.</summary>
internal static class CoordinatorApi
{
    /// <summary>Throws <see cref="UsageException"/> for an address that is none, and for a key that would leave this machine unencrypted.</summary>
    /// <param name="keyVariable">Where the key stands when there is no file.</param>
    public static HttpClient Client(string url, string? keyFile, string keyVariable)
    {
        if (!Uri.TryCreate(url.EndsWith('/') ? url : url + "/", UriKind.Absolute, out Uri? address) || (address.Scheme != Uri.UriSchemeHttps && address.Scheme != Uri.UriSchemeHttp))
        {
            throw new UsageException($"--url is '{url}'; it must be an http or https URL");
        }

        string? key = keyFile is not null ? File.ReadAllText(keyFile).Trim() : Environment.GetEnvironmentVariable(keyVariable);
        if (key is { Length: > 0 } && address.Scheme == Uri.UriSchemeHttp && !address.IsLoopback)
        {
            throw new UsageException($"--url is '{url}'; the key may go to another machine over https only");
        }

        var http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(10) };
        http.DefaultRequestHeaders.Authorization = key is { Length: > 0 } ? new AuthenticationHeaderValue("Bearer", key) : null;
        return http;
    }

    public static async Task<HttpResponseMessage> SendAsync(Func<Task<HttpResponseMessage>> send, HttpClient http)
    {
        try
        {
            return await send();
        }
        catch (HttpRequestException e)
        {
            throw new CommandException($"no coordinator answers at {http.BaseAddress}: {e.Message}");
        }
    }

    public static async Task<string> ReasonAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        string body = await response.Content.ReadAsStringAsync(cancellation);
        try
        {
            return JsonNode.Parse(body)?["error"]?["message"]?.GetValue<string>() ?? $"status {(int)response.StatusCode}";
        }
        catch (System.Text.Json.JsonException)
        {
            return $"status {(int)response.StatusCode}";
        }
    }
}
