using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Health;
using Lamina.Coordinator;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina coordinator</c>: the front process of an installation.</summary>
internal static class CoordinatorCommand
{
    public static Command Create()
    {
        Option<string?> config = new("--config") { Description = "Configuration file with a section Coordinator; lamina.json when not given." };
        Command command = new("coordinator", "Run the front process: HTTP API, cells, model store.") { config };
        command.SetAction(async (parsed, cancellation) =>
        {
            CoordinatorOptions options = Configuration.Read<CoordinatorOptions>(parsed.GetValue(config), "Coordinator");
            HealthOptions? health = Configuration.Find<HealthOptions>(parsed.GetValue(config), "Health");
            using Logging logging = Logging.Open(Configuration.Find<LogOptions>(parsed.GetValue(config), "Logging"), LogLevel.Information, parsed.GetValue(CommandRunner.Verbose));
            ILoggerFactory loggers = logging.Factory;
            using IDisposable? tracing = Tracing.Start(Configuration.Find<TracingOptions>(parsed.GetValue(config), "Tracing"), "coordinator", options.Cells.FirstOrDefault()?.Name ?? "");
            await using CoordinatorHost host = await CoordinatorHost.StartAsync(options, loggers, cancellation);
            HeapRelease.WhenIdle(host);
            await using HealthServer? listener = await HealthServer.StartAsync(health, () => host.IsReady, host.Metrics, loggers, cancellation);
            logging.Announce($"coordinator: API at {host.HttpAddress}, cells: {string.Join(", ", host.Cells.Select(cell => $"{cell.Tenant} (control {cell.ControlEndpoint})"))}{(listener is null ? "" : $", health at {listener.Address}")}{(host.AdminAddress is null ? "" : $", admin at {host.AdminAddress}")}");
            Task<string> stopped = host.StoppedAsync();
            if (await Task.WhenAny(stopped, Waiting.UntilCancelled(cancellation)) == stopped)
            {
                throw new CommandException($"the coordinator stopped: {await stopped}");
            }

            await host.DrainAsync(TimeSpan.FromSeconds(options.LingerSeconds), TimeSpan.FromSeconds(options.DrainSeconds));
            return 0;
        });
        return command;
    }
}
