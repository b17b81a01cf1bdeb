using System.CommandLine;
using System.Diagnostics;
using Lamina.Cli.Embedded;
using Lamina.Cli.Output;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina bench</c>: prompt and decode speed of a model, medians over repetitions.</summary>
internal static class BenchCommand
{
    public static Command Create()
    {
        ModelRunOptions run = new();
        Option<int> prompt = new("--prompt-tokens", "-p") { Description = "Prompt tokens.", DefaultValueFactory = _ => 128 };
        Option<int> count = new("--count", "-n") { Description = "Generated tokens.", DefaultValueFactory = _ => 32 };
        Option<int> repetitions = new("--repetitions", "-r") { Description = "Measured repetitions after one that warms up.", DefaultValueFactory = _ => 3 };
        Option<int> concurrency = new("--concurrency") { Description = "Generations at the same time.", DefaultValueFactory = _ => 1 };
        Option<int> sharedPrefix = new("--shared-prefix") { Description = "Also time the first token of a prompt whose first N tokens were seen before.", DefaultValueFactory = _ => 0 };
        Option<bool> json = new("--json") { Description = "Print one JSON object." };
        Command command = new("bench", "Measure prompt and decode speed.") { prompt, count, repetitions, concurrency, sharedPrefix, json };
        run.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            int promptTokens = Bounds.AtLeast(parsed.GetValue(prompt), 1, "-p");
            Benchmark benchmark = new(
                promptTokens,
                Bounds.AtLeast(parsed.GetValue(count), 2, "-n"),
                Bounds.AtLeast(parsed.GetValue(repetitions), 1, "-r"),
                Bounds.Within(parsed.GetValue(concurrency), 1, 256, "--concurrency"),
                Bounds.Within(parsed.GetValue(sharedPrefix), 0, promptTokens - 1, "--shared-prefix"));
            bool asJson = parsed.GetValue(json);
            SessionOptions options = run.Read(parsed) with { Concurrency = benchmark.Concurrency };
            options = options.ContextLength > 0 ? options : options with { ContextAtLeast = benchmark.PromptTokens + benchmark.GeneratedTokens + 1 };
            long begun = Stopwatch.GetTimestamp();
            await using ModelSession session = await ModelSession.OpenAsync(options, new LoadProgress(quiet: asJson), cancellation);
            double loadSeconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            BenchmarkResult result = (await benchmark.RunAsync(session, cancellation)) with { LoadSeconds = loadSeconds };
            if (options.Nodes == 1)
            {
                using var process = Process.GetCurrentProcess();
                result = result with { PeakResidentBytes = process.PeakWorkingSet64 };
            }

            Console.Out.WriteLine(asJson ? result.ToJson(options) : result.ToText(options));
            return 0;
        });
        return command;
    }
}
