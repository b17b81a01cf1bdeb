using System.Collections.Concurrent;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>
/// Deployment and generations under random losses in virtual time. Alone in the process, because the seeds take every processor and every thread of the pool:
/// a cell tested beside them misses its heartbeats and holds its own links for lost.
/// </summary>
[Collection(nameof(AloneInTheProcess))]
public class FailoverSimulationTests(ITestOutputHelper output)
{
    private const int Seeds = 10_000;

    [Fact]
    public void Cell_UnderRandomLosses_EndsEveryStreamWithEachTokenOnceAndLeavesNoStageBehind()
    {
        var failures = new ConcurrentBag<string>();
        int epochs = 0, owners = 0;
        foreach (int seed in FailingSeeds.Read())
        {
            string? again = new CellSimulation(seed).Run();
            Assert.True(again is null, $"seed {seed}, which failed before, fails again: {again}");
        }

        Parallel.For(0, Seeds, seed =>
        {
            var simulation = new CellSimulation(seed);
            if (simulation.Run() is { } failure)
            {
                failures.Add($"seed {seed}: {failure}");
                FailingSeeds.Keep(seed, failure);
            }

            Interlocked.Add(ref epochs, simulation.Epochs);
            Interlocked.Add(ref owners, simulation.Owners);
        });

        output.WriteLine($"{Seeds} seeds, {epochs} epochs, {owners} changes of owner, {failures.Count} failures");
        Assert.True(failures.IsEmpty, string.Join('\n', failures.Take(10)));
    }

    [Fact]
    public void FailingSeed_Kept_IsReadBackOnceWithItsReason()
    {
        string file = Path.Combine(Path.GetTempPath(), $"seeds-{Guid.NewGuid():n}.txt");
        try
        {
            Assert.Empty(FailingSeeds.Read(file));
            FailingSeeds.Keep(17, "streams\nhave not ended", file);
            FailingSeeds.Keep(4, "still holds", file);
            FailingSeeds.Keep(17, "again", file);

            Assert.Equal([17, 4], FailingSeeds.Read(file));
            Assert.Equal(["17 streams have not ended", "4 still holds"], File.ReadAllLines(file));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("SamplingKnowsThePipeline", "undisturbed")]
    [InlineData("ResumptionDropsAToken", "undisturbed")]
    [InlineData("LossesAreNotProbed", "not ended")]
    [InlineData("StaleStagesStay", "still holds")]
    [InlineData("TokensTwice", "came after")]
    [InlineData("EpochsUnchecked", "were delivered in epoch")]
    public void Simulation_OfAPlantedBug_NoticesIt(string bug, string symptom)
    {
        Planted planted = Enum.Parse<Planted>(bug);
        string[] failures = [.. Enumerable.Range(0, 40).Select(seed => new CellSimulation(seed, planted).Run()).OfType<string>()];

        Assert.Contains(failures, failure => failure.Contains(symptom, StringComparison.Ordinal));
    }

    [Fact]
    public void Simulation_OfTheSameSeed_IsTheSame() =>
        Assert.Equal(Enumerable.Range(0, 20).Select(Epochs), Enumerable.Range(0, 20).Select(Epochs));

    private static int Epochs(int seed)
    {
        var simulation = new CellSimulation(seed);
        simulation.Run();
        return simulation.Epochs;
    }
}
