using System.CommandLine;
using Lamina.Cli.Health;
using Lamina.Coordinator.Api;
using Lamina.Node;
using Microsoft.Extensions.Logging;
using Prometheus;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina node</c>: the worker process of one cell.</summary>
internal static class NodeCommand
{
    public static Command Create()
    {
        Option<string?> config = new("--config") { Description = "Configuration file with a section Node; lamina.json when not given." };
        Option<string?> device = ModelRunOptions.DeviceOption("What to compute on: auto (the first GPU that can be used, else the processor), cpu or cuda:N; overrides the configuration.");
        Option<bool> endWithParent = new("--end-with-parent") { Description = "End when standard input closes.", Hidden = true };
        Command command = new("node", "Run a worker process: it joins its tenant's cell and holds the layers it is given.") { config, device, endWithParent };
        command.SetAction(async (parsed, cancellation) =>
        {
            NodeOptions options = Configuration.Read<NodeOptions>(parsed.GetValue(config), "Node");
            options = parsed.GetValue(device) is { } given ? options with { Device = given } : options;
            HealthOptions? health = Configuration.Find<HealthOptions>(parsed.GetValue(config), "Health");
            using Logging logging = parsed.GetValue(endWithParent)
                ? Logging.Open(Configuration.Find<LogOptions>(parsed.GetValue(config), "Logging"), LogLevel.Warning, parsed.GetValue(CommandRunner.Verbose), auto: LogFormat.Text)
                : Logging.Open(Configuration.Find<LogOptions>(parsed.GetValue(config), "Logging"), LogLevel.Information, parsed.GetValue(CommandRunner.Verbose));
            ILoggerFactory loggers = logging.Factory;
            using IDisposable? tracing = Tracing.Start(Configuration.Find<TracingOptions>(parsed.GetValue(config), "Tracing"), "node", options.Name.Value);
            using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            if (parsed.GetValue(endWithParent))
            {
                EndWithStandardInput(ending);
            }

            CollectorRegistry registry = Metrics.NewCustomRegistry();
            using MeterExport meters = new(registry);
            await using NodeHost host = await NodeHost.StartAsync(options, loggers, ending.Token);
            await using HealthServer? listener = await HealthServer.StartAsync(health, () => host.IsReady, registry, loggers, ending.Token);
            logging.Announce($"node {options.Name} of tenant {options.Tenant}: control {host.ControlEndpoint}, links {host.LinkEndpoint}{(listener is null ? "" : $", health at {listener.Address}")}");
            Task asked = Task.Delay(Timeout.Infinite, ending.Token);
            Task first = await Task.WhenAny(asked, host.Drained, host.Stopped);
            if (first == host.Stopped)
            {
                throw new CommandException($"the node stopped: {await host.Stopped}");
            }

            if (first == asked && !parsed.GetValue(endWithParent))
            {
                await host.DrainAsync(TimeSpan.FromSeconds(options.DrainSeconds), CancellationToken.None);
            }

            return 0;
        });
        return command;
    }

    /// <summary>The parent holds the other end of the pipe for as long as it lives, however it ends.</summary>
    private static void EndWithStandardInput(CancellationTokenSource ending)
    {
        Thread watcher = new(() =>
        {
            Span<byte> ignored = stackalloc byte[64];
            using Stream input = Console.OpenStandardInput();
            while (input.Read(ignored) > 0)
            {
            }

            ending.Cancel();
        })
        { IsBackground = true, Name = "parent watcher" };
        watcher.Start();
    }
}
