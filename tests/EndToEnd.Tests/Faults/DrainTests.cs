using Lamina.Cli.Chaos;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Faults;

/// <summary>Processes that are asked to end while streams run: work moves before it stops.</summary>
public sealed class DrainTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Streams_ANodeIsDrained_NoneFailsAndNoneIsCut()
    {
        using ChaosCell cell = await ChaosCell.StartAsync(
            new ChaosCellOptions { Executable = LaminaProcess.Executable, Model = Repository.File("models/lamina-tiny-q8_0.gguf"), Coordinators = 1, Nodes = 2, Stages = 1 }, TestContext.Current.CancellationToken);
        ChaosRun run = await ChaosRun.StartAsync(cell, streams: 8, tokens: 300, seed: 3, output.WriteLine, TestContext.Current.CancellationToken);

        ScenarioResult result = await Scenario.All.Single(other => other.Name == "drain").RunAsync(run, TestContext.Current.CancellationToken);

        output.WriteLine($"{result.Seen}\n{run.Stalls}");
        Assert.True(result.Wrong == 0, $"{result.Seen}\n{cell.Logs}");
    }

    [Fact]
    public async Task DrainCommand_NodeThatIsNotThere_SaysSo()
    {
        LaminaProcess process = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(120), "drain", "node-1", "--url", "http://127.0.0.1:1");

        Assert.Equal(1, process.ExitCode);
        Assert.Contains("no coordinator answers at http://127.0.0.1:1/", process.Error, StringComparison.Ordinal);
    }
}
