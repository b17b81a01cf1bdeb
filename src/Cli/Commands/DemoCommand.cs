using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;
using Lamina.Coordinator;
using Microsoft.Extensions.Logging;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina demo</c>: three node processes on loopback, the built-in model spread over them, three questions through the HTTP API.</summary>
internal static class DemoCommand
{
    private static readonly string[] Questions = ["What is 27 + 15?", "What is the capital of Norway?", "Tell me a story about a red fox in the forest."];

    public static Command Create()
    {
        Command command = new("demo", "Start three nodes on this machine, ask the built-in model three questions, and clean up.");
        command.SetAction(async (parsed, cancellation) =>
        {
            using ILoggerFactory loggers = Logging.Create(parsed.GetValue(CommandRunner.Verbose) ? LogLevel.Debug : LogLevel.Error);
            EmbeddedCellOptions options = new()
            {
                Nodes = 3,
                Models = [new ModelOptions { Name = "lamina-tiny", Path = BuiltInModel.Path, Nodes = 3 }],
                Loggers = loggers,
            };
            Console.WriteLine("Starting a coordinator and three nodes on loopback; all traffic between them is mutual TLS.");
            await using EmbeddedCell cell = await EmbeddedCell.StartAsync(options, new LoadProgress(quiet: false), cancellation);
            StageTable.Write(Console.Out, cell);
            using ChatStream chat = new(cell.HttpAddress, "lamina-tiny");

            // The first request of a process compiles its way through client and coordinator; the figures below are those of every later one.
            await chat.AskAsync("Hello", TextWriter.Null, cancellation);
            foreach (string question in Questions)
            {
                Console.WriteLine();
                Console.WriteLine($"> {question}");
                ChatTiming timing = await chat.AskAsync(question, Console.Out, cancellation);
                Console.WriteLine();
                Console.WriteLine($"  [{timing.Tokens} tokens, first after {timing.FirstTokenMilliseconds:0} ms, {timing.TokensPerSecond:0} tokens/s]");
            }

            return 0;
        });
        return command;
    }
}
