using Lamina.Cli.Chaos;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Faults;

/// <summary>
/// The scenarios of <c>lamina chaos</c>, held to what they promise. Each takes a minute or more: <c>./test --faults</c> runs them all.
/// </summary>
public sealed class FaultTests(ITestOutputHelper output)
{
    private const string Switch = "LAMINA_FAULTS";

    public static TheoryData<string> Names() => [.. Scenario.All.Select(scenario => scenario.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public Task Cell_UnderAFault_KeepsItsPromise(string scenario)
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable(Switch) == "1", "takes minutes; ./test --faults runs it");
        return KeepsAsync(scenario);
    }

    private async Task KeepsAsync(string name)
    {
        Scenario scenario = Scenario.All.Single(other => other.Name == name);
        Assert.SkipWhen(scenario.NeedsNetwork && ChaosNetwork.Lack is not null, ChaosNetwork.Lack ?? "");
        var options = new ChaosCellOptions
        {
            Executable = LaminaProcess.Executable, Model = Repository.File("models/lamina-tiny-q8_0.gguf"), Coordinators = 2, Nodes = 4, Stages = 3, Network = scenario.NeedsNetwork,
        };
        using ChaosCell cell = await ChaosCell.StartAsync(options, TestContext.Current.CancellationToken);
        ChaosRun run = await ChaosRun.StartAsync(cell, streams: 16, tokens: 300, seed: 11, output.WriteLine, TestContext.Current.CancellationToken);

        ScenarioResult result = await scenario.RunAsync(run, TestContext.Current.CancellationToken);

        output.WriteLine($"{result.Name}: promised: {result.Promised}\nseen: {result.Seen}\n{run.Stalls}");
        Assert.True(result.Wrong == 0, $"{result.Seen}\n{cell.Logs}");
    }
}
