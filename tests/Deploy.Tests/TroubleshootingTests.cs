using Lamina.TestSupport;

namespace Lamina.Deploy.Tests;

/// <summary>The sentences that docs/troubleshooting.md explains are the product's own.</summary>
public sealed class TroubleshootingTests
{
    private static readonly string[] s_sources = [.. Directory.EnumerateFiles(Repository.File("src"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText)];

    public static TheoryData<string> Sentences =>
        [.. File.ReadLines(Repository.File("docs/troubleshooting.md")).Where(line => line.StartsWith("### ", StringComparison.Ordinal)).Select(line => line[4..])];

    [Theory]
    [MemberData(nameof(Sentences))]
    public void Sentence_OfThePage_StandsInOneOfTheSources(string sentence)
    {
        // The parts between what differs; a single character or a mark says nothing.
        string[] parts = [.. sentence.Split('…').Select(part => part.Trim()).Where(part => part.Any(char.IsLetter))];
        Assert.True(parts.Sum(part => part.Length) >= 12, $"too little of '{sentence}' is fixed to look for it");
        Assert.Contains(s_sources, source => parts.All(part => source.Contains(part, StringComparison.Ordinal)));
    }

    [Fact]
    public void Page_AsAWhole_ExplainsMoreThanAFew() => Assert.InRange(Sentences.Count, 25, 500);
}
