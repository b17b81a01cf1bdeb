using System.Diagnostics;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Whether the time to the first token tells that a prompt was cached: for one's own prompts it does, for another tenant's it must not. Alone, for what else runs comes in waves that an area over pairs takes for a difference.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class PrefixTimingTests(TwoTenants tenants, ITestOutputHelper output) : IClassFixture<TwoTenants>
{
    private const string Story = "Once upon a time there was a little girl named Lily who loved to play outside in the garden. One day she found a shiny stone under the old tree and showed it to her friend. ";

    [Trait("Attack", "E1")]
    [Fact]
    public async Task FirstToken_OfAPromptThatAnotherTenantCached_TakesAsLongAsOfAnyOther()
    {
        int pairs = AttackScale.Cases(50, 500);
        var seen = new List<double>();
        var fresh = new List<double>();
        var own = new List<double>();
        for (int i = 0; i < 5; i++)
        {
            await tenants.CompleteAsync(TwoTenants.Acme, Prompt($"warm {i}"));
            await tenants.CompleteAsync(TwoTenants.Globex, Prompt($"warm {i}"));
        }

        for (int i = 0; i < pairs; i++)
        {
            // Which of two texts it is changes, too: one token more in one of them would be a difference.
            string[] texts = [Prompt($"pair {i} a"), Prompt($"pair {i} b")];
            (string theirs, string nobodys) = i % 4 < 2 ? (texts[0], texts[1]) : (texts[1], texts[0]);
            await tenants.CompleteAsync(TwoTenants.Acme, theirs);

            // Which of the two comes first changes, so that neither gains from its place.
            if (i % 2 == 0)
            {
                seen.Add(await MeasureAsync(theirs));
                fresh.Add(await MeasureAsync(nobodys));
            }
            else
            {
                fresh.Add(await MeasureAsync(nobodys));
                seen.Add(await MeasureAsync(theirs));
            }

            own.Add(await MeasureAsync(nobodys));
        }

        double across = Timing.AreaUnderCurve(seen, fresh), within = Timing.AreaUnderCurve(own, fresh);
        output.WriteLine($"{pairs} pairs: area under the curve {across:0.000} across tenants, {within:0.000} within one; medians {Timing.Median(seen):0.0}, {Timing.Median(fresh):0.0} and {Timing.Median(own):0.0} ms");

        // By chance alone the area strays from a half by sqrt((2n + 1) / (12 n n)): 0.018 for 500 pairs, 0.058 for 50; the bounds are 2.7 of these away.
        double chance = 2.7 * Math.Sqrt(((2.0 * pairs) + 1) / (12.0 * pairs * pairs));
        Assert.InRange(across, 0.5 - chance, 0.5 + chance);
        Assert.True(within > 0.8, $"the own cached prompt is told with an area of {within:0.000} only, so the test could not have told another's");
    }

    /// <summary>The same length for each, and another beginning: prefixes are shared from the first token on.</summary>
    private static string Prompt(string label) => label.PadRight(24, '.') + string.Concat(Enumerable.Repeat(Story, 4));

    private async Task<double> MeasureAsync(string prompt)
    {
        long started = Stopwatch.GetTimestamp();
        await tenants.CompleteAsync(TwoTenants.Globex, prompt);
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }
}
