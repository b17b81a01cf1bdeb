using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Lamina.Cli.Access;
using Lamina.Cli.Output;
using Spectre.Console;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina status</c>: a cell's models and nodes as a coordinator sees them; with <c>--watch</c> again and again.</summary>
internal static class StatusCommand
{
    private const string KeyVariable = "LAMINA_API_KEY";

    public static Command Create()
    {
        Option<string> url = new("--url") { Description = "Address of a coordinator's API.", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        Option<string?> keyFile = new("--key-file") { Description = $"File with a key of the scope usage, where the API asks for one; else {KeyVariable}." };
        Option<bool> watch = new("--watch", "-w") { Description = "Go on until Ctrl-C: a table that stays in place on a terminal, a line for each model elsewhere." };
        Option<double> interval = new("--interval") { Description = "Seconds between two looks.", DefaultValueFactory = _ => 1 };
        Option<bool> json = new("--json") { Description = "Print what the coordinator says as JSON, a line for each look." };
        Command command = new("status", "Show a cell's models, their stages, and its nodes.") { url, keyFile, watch, interval, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            TimeSpan pause = parsed.GetValue(interval) is >= 0.05 and <= 3600 and double seconds
                ? TimeSpan.FromSeconds(seconds)
                : throw new UsageException($"--interval is {parsed.GetValue(interval).ToString(CultureInfo.InvariantCulture)}; it must be from 0.05 to 3600");
            using HttpClient http = CoordinatorApi.Client(parsed.GetValue(url)!, parsed.GetValue(keyFile), KeyVariable);
            JsonObject first = await AskAsync(http, cancellation);
            if (!parsed.GetValue(watch))
            {
                Console.Out.WriteLine(parsed.GetValue(json) ? first.ToJsonString() : StatusTable.ToText(first));
                return 0;
            }

            try
            {
                await (parsed.GetValue(json) || Console.IsOutputRedirected
                    ? PrintAsync(http, first, pause, parsed.GetValue(json), cancellation)
                    : RedrawAsync(http, first, pause, cancellation));
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                // Ctrl-C is how watching ends.
            }

            return 0;
        });
        return command;
    }

    private static async Task PrintAsync(HttpClient http, JsonObject status, TimeSpan pause, bool asJson, CancellationToken cancellation)
    {
        while (true)
        {
            foreach (string line in asJson ? [status.ToJsonString()] : StatusTable.ToLines(status, DateTime.Now))
            {
                Console.Out.WriteLine(line);
            }

            await Console.Out.FlushAsync(cancellation);
            await Task.Delay(pause, cancellation);
            status = await AskAsync(http, cancellation);
        }
    }

    /// <summary>A coordinator that does not answer for a while is shown as that; watching goes on.</summary>
    private static Task RedrawAsync(HttpClient http, JsonObject status, TimeSpan pause, CancellationToken cancellation) =>
        AnsiConsole.Live(StatusTable.ToTable(status, DateTime.Now)).AutoClear(false).Overflow(VerticalOverflow.Crop).Cropping(VerticalOverflowCropping.Bottom).StartAsync(async live =>
        {
            while (true)
            {
                await Task.Delay(pause, cancellation);
                try
                {
                    live.UpdateTarget(StatusTable.ToTable(await AskAsync(http, cancellation), DateTime.Now));
                }
                catch (CommandException exception)
                {
                    live.UpdateTarget(new Text(exception.Message));
                }

                live.Refresh();
            }
        });

    private static async Task<JsonObject> AskAsync(HttpClient http, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await CoordinatorApi.SendAsync(() => http.GetAsync(new Uri("status.json", UriKind.Relative), cancellation), http);
        return response.IsSuccessStatusCode
            ? JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation)) as JsonObject ?? throw new CommandException($"what answers at {http.BaseAddress} is no coordinator")
            : throw new CommandException($"the coordinator does not show its status: {await CoordinatorApi.ReasonAsync(response, cancellation)}");
    }
}
