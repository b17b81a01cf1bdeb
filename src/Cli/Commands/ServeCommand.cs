using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Coordinator;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary>What <c>serve</c> runs, from its options or from the section <c>Serve</c> of a configuration file.</summary>
internal sealed record ServeOptions
{
    public string Listen { get; init; } = "127.0.0.1:8080";
    public int Nodes { get; init; } = 1;
    public int Threads { get; init; }

    /// <summary>As in a coordinator's cell; <see cref="Nodes"/> holds for all of them.</summary>
    public IReadOnlyList<ModelOptions> Models { get; init; } = [];
}

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
        Option<string?> config = new("--config") { Description = "Configuration file with a section Serve (Listen, Nodes, Threads, Models), instead of MODEL and the other options." };
        Command command = new("serve", "Serve models on this machine: API, status page and node processes, until Ctrl-C.") { models, nodes, listen, threads, context, speculate, config };
        command.SetAction(async (parsed, cancellation) =>
        {
            ServeOptions serve = parsed.GetValue(config) is { } file
                ? parsed.GetValue(models) is { Length: > 0 } ? throw new UsageException("give the models either as arguments or by --config, not both") : Configuration.Read<ServeOptions>(file, "Serve")
                : new ServeOptions
                {
                    Listen = parsed.GetValue(listen)!,
                    Nodes = parsed.GetValue(nodes),
                    Threads = parsed.GetValue(threads),
                    Models = [.. (parsed.GetValue(models) is { Length: > 0 } given ? given : [BuiltInModel.Path]).Select(path => new ModelOptions
                    {
                        Path = path,
                        ContextLength = Bounds.AtLeast(parsed.GetValue(context), 0, "--context"),
                        DraftTokens = Bounds.Within(parsed.GetValue(speculate), 0, 64, "--speculate"),
                    })],
                };
            using ILoggerFactory loggers = Logging.Create(parsed.GetValue(CommandRunner.Verbose) ? LogLevel.Debug : LogLevel.Warning);
            EmbeddedCellOptions options = new()
            {
                Nodes = Bounds.Within(serve.Nodes, 1, 64, "--nodes"),
                Threads = Bounds.Within(serve.Threads, 0, 1024, "--threads"),
                Listen = serve.Listen,
                Models = [.. serve.Models.Select(model => model with { Path = Path.GetFullPath(model.Path), Nodes = serve.Nodes })],
                Loggers = loggers,
            };
            if (options.Models.Count == 0)
            {
                throw new UsageException("the section Serve names no model; it needs Models with at least one Path");
            }

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
