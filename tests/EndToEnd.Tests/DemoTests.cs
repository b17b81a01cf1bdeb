using System.Text.RegularExpressions;

namespace Lamina.EndToEnd.Tests;

/// <summary>The product's front door.</summary>
public sealed partial class DemoTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Demo_FreshStart_AnswersFromThreeNodesAndLeavesNothing()
    {
        using TemporaryFolder temporary = new();
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        using LaminaProcess demo = LaminaProcess.Start(["demo"], temporary.Environment);
        await demo.WaitForLineAsync("> What is 27 + 15?", TimeSpan.FromSeconds(180));
        int[] children = ProcessTable.Children(demo.Id);
        await demo.WaitForExitAsync(TimeSpan.FromSeconds(180));
        output.WriteLine($"demo took {System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s");

        Assert.True(demo.ExitCode == 0, demo.Error);
        Assert.Contains("27 + 15 = 42", demo.Output, StringComparison.Ordinal);
        Assert.Contains("Oslo", demo.Output, StringComparison.Ordinal);
        Assert.Equal(3, StageLine().Count(demo.Output));
        Assert.Equal(3, Timing().Count(demo.Output));
        Assert.Equal(3, children.Length);
        Assert.DoesNotContain(children, ProcessTable.IsAlive);
        Assert.Empty(temporary.Entries);
    }

    [GeneratedRegex(@"node-\d \(process \d+\)\s+layers? \d")]
    private static partial Regex StageLine();

    [GeneratedRegex(@"\[\d+ tokens, first after \d+ ms, \d+ tokens/s\]")]
    private static partial Regex Timing();
}
