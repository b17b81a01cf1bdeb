using System.CommandLine;
using System.Net;
using System.Text.Json.Nodes;
using Lamina.Cli.Access;

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
            using HttpClient http = CoordinatorApi.Client(parsed.GetValue(url)!, parsed.GetValue(keyFile), KeyVariable);
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

    private static async Task AskAsync(HttpClient http, string name, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await CoordinatorApi.SendAsync(() => http.PostAsync(new Uri($"v1/nodes/{Uri.EscapeDataString(name)}/drain", UriKind.Relative), null, cancellation), http);
        if (response.StatusCode != HttpStatusCode.Accepted)
        {
            throw new CommandException($"{name} cannot be drained: {await CoordinatorApi.ReasonAsync(response, cancellation)}");
        }
    }

    private static async Task<bool> IsUpAsync(HttpClient http, string name, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await CoordinatorApi.SendAsync(() => http.GetAsync(new Uri("status.json", UriKind.Relative), cancellation), http);
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation))!["nodes"]!.AsArray().Any(node => node!["name"]!.GetValue<string>() == name)
            : throw new CommandException($"the coordinator does not say who is up: {await CoordinatorApi.ReasonAsync(response, cancellation)}");
    }
}
