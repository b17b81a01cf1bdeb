using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Coordinator;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina serve</c>: coordinator and nodes on this machine, until Ctrl-C.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        Argument<string[]> models = new("MODEL") { Description = "GGUF files; the built-in model when none is given.", Arity = ArgumentArity.ZeroOrMore };
        Option<int> nodes = new("--nodes") { Description = "Node processes.", DefaultValueFactory = _ => 1 };
        Option<string> listen = new("--listen") { Description = "Address and port of the HTTP API.", DefaultValueFactory = _ => "127.0.0.1:8080" };
        Option<int> threads = new("--threads", "-t") { Description = "Compute threads per node; 0 shares the cores out.", DefaultValueFactory = _ => 0 };
        Option<int> context = new("--context", "-c") { Description = "Longest sequence in tokens; 0 = the model's own, at most 8192.", DefaultValueFactory = _ => 0 };
        Option<int> speculate = ModelRunOptions.SpeculateOption();
        Option<string?> config = new("--config") { Description = "Configuration file with a section Coordinator, instead of MODEL and --listen." };
        Command command = new("serve", "Serve models on this machine: API, status page and node processes, until Ctrl-C.") { models, nodes, listen, threads, context, speculate, config };
        command.SetAction(async (parsed, cancellation) =>
        {
            int nodeCount = Bounds.Within(parsed.GetValue(nodes), 1, 64, "--nodes");
            string[] paths = parsed.GetValue(models) is { Length: > 0 } given ? given : [BuiltInModel.Path];
            using ILoggerFactory loggers = Logging.Create(parsed.GetValue(CommandRunner.Verbose) ? LogLevel.Debug : LogLevel.Warning);
            EmbeddedCellOptions options = new()
            {
                Nodes = nodeCount,
                Threads = Bounds.Within(parsed.GetValue(threads), 0, 1024, "--threads"),
                Listen = parsed.GetValue(listen)!,
                Models = [.. paths.Select(path => new ModelOptions
                {
                    Path = Path.GetFullPath(path),
                    Nodes = nodeCount,
                    ContextLength = Bounds.AtLeast(parsed.GetValue(context), 0, "--context"),
                    DraftTokens = Bounds.Within(parsed.GetValue(speculate), 0, 64, "--speculate"),
                })],
                Loggers = loggers,
            };
            LoadProgress progress = new(quiet: false);
            await using EmbeddedCell cell = await EmbeddedCell.StartAsync(options, progress, cancellation);
            StageTable.Write(Console.Error, cell);
            Console.Error.WriteLine($"API at {cell.HttpAddress}v1, status at {cell.HttpAddress}; Ctrl-C stops everything");
            await Waiting.UntilCancelled(cancellation);
            return 0;
        });
        return command;
    }
}
