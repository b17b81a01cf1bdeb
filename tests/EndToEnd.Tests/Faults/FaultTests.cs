using Lamina.Cli.Chaos;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Faults;

/// <summary>
/// The scenarios of <c>lamina chaos</c>, held to what they promise. Each takes a minute or more: <c>./test --faults</c> runs them all, or those that LAMINA_FAULTS names.
/// </summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class FaultTests(ITestOutputHelper output)
{
    private const string Switch = "LAMINA_FAULTS";

    public static TheoryData<string> Names() => [.. Scenario.All.Select(scenario => scenario.Name)];

    private static string[] Wanted => (Environment.GetEnvironmentVariable(Switch) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);

    [Theory]
    [MemberData(nameof(Names))]
    public Task Cell_UnderAFault_KeepsItsPromise(string scenario)
    {
        Assert.SkipUnless(Wanted is ["1"] || Wanted.Contains(scenario), "takes minutes; ./test --faults runs it");
        return KeepsAsync(scenario);
    }

    /// <summary>Of the attack board: every process in a control group with a fifth more memory than it took, then five hundred requests at once.</summary>
    [Trait("Attack", "R3")]
    [Fact]
    public Task Cell_InAMemoryLimitLittleAboveItsWorkingSet_LosesNoProcess() => OnTheBoardAsync("little-memory");

    /// <summary>Of the attack board: bytes altered, repeated and doubled on the wire under streams that must end with the undisturbed answer.</summary>
    [Trait("Attack", "H4")]
    [Fact]
    public Task Cell_WhoseTrafficIsAltered_AnswersAsIfUndisturbed() => OnTheBoardAsync("altered");

    private Task OnTheBoardAsync(string scenario)
    {
        Assert.SkipUnless(AttackScale.IsFull, "takes a minute; ./test --attack-board runs it");
        return KeepsAsync(scenario);
    }

    /// <summary>So that <c>./test --faults</c> leaves none out and asks for none that there is not.</summary>
    [Fact]
    public void Table_OfFaults_NamesEveryScenarioAndNoOther()
    {
        string[] named = [.. File.ReadLines(Repository.File("tests/Faults/faults.tsv")).SelectMany(line => line.Split('\t')[2].Split(' ')).Where(name => name != "-" && !name.Contains('/')).Distinct()];

        Assert.Equal(Scenario.All.Select(scenario => scenario.Name).Order(StringComparer.Ordinal), named.Order(StringComparer.Ordinal));
    }

    private async Task KeepsAsync(string name)
    {
        Scenario scenario = Scenario.All.Single(other => other.Name == name);
        Assert.SkipWhen(scenario.Lack is not null, scenario.Lack ?? "");
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
