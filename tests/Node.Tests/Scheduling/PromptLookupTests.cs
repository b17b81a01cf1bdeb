using Lamina.Node.Scheduling;

namespace Lamina.Node.Tests.Scheduling;

public class PromptLookupTests
{
    [Theory]
    [InlineData(new[] { 1, 2, 3, 4, 1, 2 }, new[] { 3, 4, 1, 2 })]                       // Reaches the end and goes on cyclically.
    [InlineData(new[] { 9, 1, 2, 7, 8, 1, 2, 5, 6, 9, 1, 2 }, new[] { 7, 8, 1, 2 })]     // Three alike win over two, though earlier.
    [InlineData(new[] { 1, 2, 7, 1, 2, 8, 1, 2 }, new[] { 8, 1, 2, 8 })]                 // Of equals the latest.
    [InlineData(new[] { 4, 4, 4 }, new[] { 4, 4, 4, 4 })]
    public void Draft_AfterAnEarlierOccurrence_ContinuesIt(int[] tokens, int[] expected)
    {
        var draft = new int[4];
        Assert.True(PromptLookup.TryFill(tokens, draft));
        Assert.Equal(expected, draft);
    }

    [Theory]
    [InlineData(new int[0])]
    [InlineData(new[] { 1, 2 })]
    [InlineData(new[] { 1, 2, 3, 4, 5, 2 })]
    public void Draft_WithoutAnEarlierPairOfTheSameTokens_IsNone(int[] tokens) => Assert.False(PromptLookup.TryFill(tokens, new int[4]));
}
