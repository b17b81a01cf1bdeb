using System.CommandLine;
using Lamina.Cli.Chaos;
using Lamina.Cli.Embedded;

namespace Lamina.Cli.Commands;

/// <summary><c>lamina chaos</c>: breaks a cell of its own under load, and prints what is promised beside what was seen.</summary>
internal static class ChaosCommand
{
    public static Command Create()
    {
        Argument<string?> model = new("MODEL") { Description = "GGUF model to serve; a small built-in one when not given.", Arity = ArgumentArity.ZeroOrOne };
        Option<string[]> scenarios = new("--scenario") { Description = $"What to do to it, in this order: {string.Join(", ", Scenario.All.Select(scenario => scenario.Name))}. All when not given.", AllowMultipleArgumentsPerToken = true };
        Option<int> coordinators = new("--coordinators") { Description = "Coordinators of the cell.", DefaultValueFactory = _ => 2 };
        Option<int> nodes = new("--nodes") { Description = "Nodes of the cell.", DefaultValueFactory = _ => 4 };
        Option<int> stages = new("--stages") { Description = "Stages of its pipeline; nodes beyond that are spare.", DefaultValueFactory = _ => 3 };
        Option<int> pipelines = new("--pipelines") { Description = "Most copies of the model that serve side by side.", DefaultValueFactory = _ => 1 };
        Option<int> streams = new("--streams") { Description = "Streams at a time.", DefaultValueFactory = _ => 16 };
        Option<int> tokens = new("--tokens") { Description = "Tokens of each stream.", DefaultValueFactory = _ => 300 };
        Option<int> rounds = new("--rounds") { Description = "Times that everything is done.", DefaultValueFactory = _ => 1 };
        Option<int> seed = new("--seed") { Description = "Decides what the scenarios leave to chance.", DefaultValueFactory = _ => 1 };
        Option<int> minutes = new("--minutes") { Description = "Goes on with scenarios drawn at random for that long instead, and watches memory and descriptors." };
        Option<string?> logs = new("--logs") { Description = "File to write what every process said to." };
        Command command = new("chaos", "Start a cell of processes, break it under load, and print what is promised beside what was seen.")
        {
            model, scenarios, coordinators, nodes, stages, pipelines, streams, tokens, rounds, seed, minutes, logs,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            int count = Bounds.Within(parsed.GetValue(nodes), 1, 64, "--nodes");
            var options = new ChaosCellOptions
            {
                Model = parsed.GetValue(model) ?? BuiltInModel.Path,
                Coordinators = Bounds.Within(parsed.GetValue(coordinators), 1, 7, "--coordinators"),
                Nodes = count,
                Stages = Bounds.Within(parsed.GetValue(stages), 1, count, "--stages"),
                Pipelines = Bounds.Within(parsed.GetValue(pipelines), 1, 64, "--pipelines"),
            };
            IReadOnlyList<Scenario> wanted = Wanted(parsed.GetValue(scenarios) ?? []);
            options = options with { Network = wanted.Any(scenario => scenario.NeedsNetwork) };
            using ChaosCell cell = await ChaosCell.StartAsync(options, cancellation);
            ChaosRun run = await ChaosRun.StartAsync(cell, Bounds.Within(parsed.GetValue(streams), 1, 256, "--streams"), Bounds.Within(parsed.GetValue(tokens), 1, 4096, "--tokens"), parsed.GetValue(seed), Console.Error.WriteLine, cancellation);
            int wrong = 0;
            try
            {
                if (Bounds.Within(parsed.GetValue(minutes), 0, 10_000, "--minutes") is int length and > 0)
                {
                    wrong = await SoakAsync(run, wanted, TimeSpan.FromMinutes(length), cancellation);
                }

                for (int round = 0; parsed.GetValue(minutes) == 0 && round < Bounds.Within(parsed.GetValue(rounds), 1, 10_000, "--rounds"); round++)
                {
                    foreach (Scenario scenario in wanted)
                    {
                        wrong += await PrintAsync(run, scenario, cancellation);
                    }
                }
            }
            finally
            {
                if (parsed.GetValue(logs) is { } path)
                {
                    await File.WriteAllTextAsync(path, cell.Logs, CancellationToken.None);
                }
            }

            Console.WriteLine();
            Console.Write(run.Stalls);
            return wrong == 0 ? 0 : throw new CommandException($"{wrong} promises were not kept");
        });
        return command;
    }

    private static async Task<int> PrintAsync(ChaosRun run, Scenario scenario, CancellationToken cancellation)
    {
        ScenarioResult result = await scenario.RunAsync(run, cancellation);
        Console.WriteLine($"{(result.Wrong == 0 ? "kept  " : "BROKEN")} {result.Name}");
        Console.WriteLine($"       promised: {result.Promised}");
        Console.WriteLine($"       seen:     {result.Seen}");
        return result.Wrong;
    }

    private static async Task<int> SoakAsync(ChaosRun run, IReadOnlyList<Scenario> scenarios, TimeSpan length, CancellationToken cancellation)
    {
        int wrong = 0;
        long until = Environment.TickCount64 + (long)length.TotalMilliseconds;
        while (Environment.TickCount64 < until)
        {
            wrong += await PrintAsync(run, scenarios[run.Random.Next(scenarios.Count)], cancellation);
            Console.WriteLine($"       memory:   {LoadScenario.ResidentBytes(run) >> 20} MiB and {LoadScenario.Descriptors(run)} descriptors in all processes");
        }

        return wrong;
    }

    /// <summary>All that this machine can do when none is named.</summary>
    private static IReadOnlyList<Scenario> Wanted(string[] names) => names.Length == 0
        ? [.. Scenario.All.Where(scenario => scenario.Lack is null)]
        : [.. names.Select(name => Scenario.All.FirstOrDefault(scenario => scenario.Name == name)
            ?? throw new UsageException($"there is no scenario '{name}'; there are {string.Join(", ", Scenario.All.Select(scenario => scenario.Name))}"))];
}
