using Lamina.Cli.Chaos;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Faults;

/// <summary>Two coordinators serve one cell: one may die, and with it the owner of the plan.</summary>
public sealed class CoordinatorLossTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Streams_ACoordinatorIsKilled_OthersDoNotStopAndItsOwnGoOnElsewhere()
    {
        using ChaosCell cell = await ChaosCell.StartAsync(
            new ChaosCellOptions { Executable = LaminaProcess.Executable, Model = Repository.File("models/lamina-tiny-q8_0.gguf"), Coordinators = 2, Nodes = 2, Stages = 2 }, TestContext.Current.CancellationToken);
        ChaosRun run = await ChaosRun.StartAsync(cell, streams: 8, tokens: 300, seed: 7, output.WriteLine, TestContext.Current.CancellationToken);
        foreach (string name in new[] { "change-coordinator", "kill-owner", "kill-tail" })
        {
            ScenarioResult result = await Scenario.All.Single(scenario => scenario.Name == name).RunAsync(run, TestContext.Current.CancellationToken);
            output.WriteLine($"{result.Name}: {result.Seen}");
            Assert.True(result.Wrong == 0, $"{result.Name}: {result.Seen}\n{cell.Logs}");
        }

        output.WriteLine(run.Stalls.ToString());
    }
}
