namespace Lamina.Coordinator.Tests.Simulation;

/// <summary>A thousand nodes that fail and return, in virtual time.</summary>
public sealed class PlacementSimulationTests(ITestOutputHelper output)
{
    private static readonly int s_losses = Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1" ? 2000 : 100;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void ThousandNodes_ThatFailAndReturn_HoldEveryModelWithinTheirMemory(int seed)
    {
        var simulation = new PlacementSimulation(seed, machines: 1000, models: 40);

        string? wrong = simulation.Run(s_losses);

        output.WriteLine($"seed {seed}: {simulation.Losses} losses, {simulation.Plans} plans, at most {simulation.MostDown:P0} of the nodes down");
        Assert.Null(wrong);
        Assert.Equal(s_losses, simulation.Losses);
        Assert.True(simulation.Plans > 40 + (s_losses / 4), $"{simulation.Plans} plans: the losses hardly touch the models");
    }

    [Fact]
    public void Simulation_OfAPlannerThatForgetsWhatIsHeld_NoticesIt()
    {
        string? wrong = new PlacementSimulation(1, machines: 1000, models: 40, planted: true).Run(100);

        Assert.Contains(" bytes", wrong, StringComparison.Ordinal);
        Assert.Contains("holds", wrong, StringComparison.Ordinal);
    }
}
