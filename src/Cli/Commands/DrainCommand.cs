using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina drain NODE</c>: has a node's work placed elsewhere, after which it leaves its cell and ends; returns when it has.</summary>
internal static class DrainCommand
{
    private const string KeyVariable = "LAMINA_ADMIN_KEY";

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);

    public static Command Create()
    {
        Argument<string> node = new("NODE") { Description = "Name of the node." };
        Option<string> url = new("--url") { Description = "Address of a coordinator's API.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        Option<string?> keyFile = new("--key-file") { Description = $"File with a key of the scope admin, where the API asks for one; else {KeyVariable}." };
        Option<int> timeout = new("--timeout") { Description = "Seconds to wait until the node has left.", DefaultValueFactory = _ => 120 };
        Command command = new("drain", "Have a node's work placed elsewhere; it then leaves its cell and ends.") { node, url, keyFile, timeout };
        command.SetAction(async (parsed, cancellation) =>
        {
            using HttpClient http = Client(parsed.GetValue(url)!, parsed.GetValue(keyFile));
            string name = parsed.GetValue(node)!;
            await AskAsync(http, name, cancellation);
            Console.Error.WriteLine($"{name} is leaving: its stages are placed elsewhere first");
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(TimeSpan.FromSeconds(Bounds.Within(parsed.GetValue(timeout), 1, 86_400, "--timeout")));
            try
            {
                while (await IsUpAsync(http, name, deadline.Token))
                {
                    await Task.Delay(s_poll, deadline.Token);
                }
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new CommandException($"{name} has not left within {parsed.GetValue(timeout)} s; it goes on leaving");
            }

            Console.WriteLine($"{name} has left the cell");
            return 0;
        });
        return command;
    }

    private static HttpClient Client(string url, string? keyFile)
    {
        if (!Uri.TryCreate(url.EndsWith('/') ? url : url + "/", UriKind.Absolute, out Uri? address) || (address.Scheme != Uri.UriSchemeHttps && address.Scheme != Uri.UriSchemeHttp))
        {
            throw new UsageException($"--url is '{url}'; it must be an http or https URL");
        }

        string? key = keyFile is not null ? File.ReadAllText(keyFile).Trim() : Environment.GetEnvironmentVariable(KeyVariable);
        if (key is { Length: > 0 } && address.Scheme == Uri.UriSchemeHttp && !address.IsLoopback)
        {
            throw new UsageException($"--url is '{url}'; the key may go to another machine over https only");
        }

        var http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(10) };
        http.DefaultRequestHeaders.Authorization = key is { Length: > 0 } ? new AuthenticationHeaderValue("Bearer", key) : null;
        return http;
    }

    private static async Task AskAsync(HttpClient http, string name, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await SendAsync(() => http.PostAsync(new Uri($"v1/nodes/{Uri.EscapeDataString(name)}/drain", UriKind.Relative), null, cancellation), http);
        if (response.StatusCode != HttpStatusCode.Accepted)
        {
            throw new CommandException($"{name} cannot be drained: {await ReasonAsync(response, cancellation)}");
        }
    }

    private static async Task<bool> IsUpAsync(HttpClient http, string name, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await SendAsync(() => http.GetAsync(new Uri("status.json", UriKind.Relative), cancellation), http);
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation))!["nodes"]!.AsArray().Any(node => node!["name"]!.GetValue<string>() == name)
            : throw new CommandException($"the coordinator does not say who is up: {await ReasonAsync(response, cancellation)}");
    }

    private static async Task<HttpResponseMessage> SendAsync(Func<Task<HttpResponseMessage>> send, HttpClient http)
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

    private static async Task<string> ReasonAsync(HttpResponseMessage response, CancellationToken cancellation)
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
