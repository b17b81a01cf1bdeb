using System.Text;
using CsCheck;
using Lamina.Coordinator.Generations;

namespace Lamina.Coordinator.Tests.Generations;

public class StopMatcherTests
{
    [Theory]
    [InlineData("Hello. END and more", "END", "Hello. ")]
    [InlineData("aab", "ab", "a")]
    [InlineData("abcabd", "abd", "abc")]
    [InlineData("no stop here", "END", "no stop here")]
    [InlineData("ENEND", "END", "EN")]
    public void Text_OneStop_IsCutBeforeIt(string text, string stop, string expected) => Assert.Equal(expected, Feed(text.Select(c => c.ToString()), [stop], out _));

    [Fact]
    public void Text_StopsThatEndTogether_IsCutBeforeTheEarliestStart() => Assert.Equal("x", Feed(["xabc"], ["c", "abc"], out _));

    [Fact]
    public void Append_OpenStop_IsHeldBackUntilDecided()
    {
        var matcher = new StopMatcher(["\n\nUser:"]);

        Assert.Equal("Yes.", matcher.Append("Yes.\n"));
        Assert.Equal("", matcher.Append("\nUs"));
        Assert.Equal("\n\nUseful", matcher.Append("eful"));
        Assert.False(matcher.Stopped);
    }

    [Fact]
    public void Text_CutAnyWay_GivesTheSame() =>
        Gen.Select(Gen.Char["ab\n"].Array[0, 24].Select(c => new string(c)), Gen.Char["ab\n"].Array[1, 4].Select(c => new string(c)).Array[1, 4], Gen.Int[1, 5].Array[24])
            .Sample((text, stops, cuts) =>
            {
                var pieces = new List<string>();
                for (int at = 0, i = 0; at < text.Length; i++)
                {
                    int length = Math.Min(cuts[i % cuts.Length], text.Length - at);
                    pieces.Add(text.Substring(at, length));
                    at += length;
                }

                string found = Feed(pieces, stops, out bool stopped);
                (string expected, bool expectStop) = Definition(text, stops);
                return found == expected && stopped == expectStop;
            }, iter: 20_000);

    /// <summary>The definition, character by character.</summary>
    private static (string Text, bool Stopped) Definition(string text, string[] stops)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            string[] ending = [.. stops.Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal))];
            if (ending.Length > 0)
            {
                return (text[..(end - ending.Max(stop => stop.Length))], true);
            }
        }

        return (text, false);
    }

    private static string Feed(IEnumerable<string> pieces, string[] stops, out bool stopped)
    {
        var matcher = new StopMatcher(stops);
        var text = new StringBuilder();
        foreach (string piece in pieces)
        {
            text.Append(matcher.Append(piece));
        }

        text.Append(matcher.Flush());
        stopped = matcher.Stopped;
        return text.ToString();
    }
}
