namespace Lamina.Coordinator.Tests;

/// <summary>When a coordinator of several cells takes requests: one tenant's trouble is not the others'.</summary>
public sealed class ReadinessTests
{
    [Theory]
    [InlineData(new[] { true }, 0, true)]
    [InlineData(new[] { true, true }, 0, true)]
    [InlineData(new[] { false }, 0, false)]
    [InlineData(new[] { false }, 3600, false)] // alone it has nothing to answer for
    [InlineData(new[] { true, false }, 119, false)] // most start together: nobody is told that a model is not there which comes in a moment
    [InlineData(new[] { true, false }, 120, true)]
    [InlineData(new[] { false, false, true }, 3600, true)]
    [InlineData(new[] { false, false }, 3600, false)]
    public void Coordinator_OfSeveralCells_WaitsTwoMinutesForThoseThatDoNotServe(bool[] serving, int seconds, bool ready) =>
        Assert.Equal(ready, CoordinatorHost.IsReadyAfter(serving, TimeSpan.FromSeconds(seconds)));
}
