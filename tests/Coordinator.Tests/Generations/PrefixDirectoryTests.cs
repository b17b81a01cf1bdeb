using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Generations;

/// <summary>Where beginnings of prompts were computed.</summary>
public class PrefixDirectoryTests
{
    private readonly PrefixDirectory<string> _directory = new(capacity: 64);

    [Fact]
    public void Find_LongestBeginning_Wins()
    {
        _directory.Remember(Prompt(64), "a");
        _directory.Remember(Prompt(128), "b");
        _directory.Remember([.. Prompt(64), .. Enumerable.Repeat(7, 64)], "c");

        Assert.Equal("b", _directory.Find(Prompt(200), _ => true));
        Assert.Equal("c", _directory.Find([.. Prompt(64), .. Enumerable.Repeat(7, 100)], _ => true));
    }

    [Fact]
    public void Find_LessThanABlockOrAnotherBeginning_IsUnknown()
    {
        _directory.Remember(Prompt(128), "a");

        Assert.Null(_directory.Find(Prompt(63), _ => true));
        Assert.Null(_directory.Find([9, .. Prompt(128)], _ => true));
    }

    [Fact]
    public void Find_PlaceThatCountsNoMore_IsPassedOver()
    {
        _directory.Remember(Prompt(128), "gone");
        _directory.Remember(Prompt(64), "there");

        Assert.Equal("there", _directory.Find(Prompt(128), place => place == "there"));
    }

    [Fact]
    public void Remember_BeyondItsCapacity_ForgetsTheOldestAndKeepsTheNewest()
    {
        for (int i = 0; i < 1000; i++)
        {
            _directory.Remember([i, .. Prompt(63)], $"{i}");
        }

        Assert.Null(_directory.Find([0, .. Prompt(63)], _ => true));
        Assert.Equal("999", _directory.Find([999, .. Prompt(63)], _ => true));
    }

    private static int[] Prompt(int tokens) => [.. Enumerable.Range(100, tokens)];
}
