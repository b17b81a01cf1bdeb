using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

/// <summary>What each step leaves of a known distribution, seen through the tokens that can still be drawn.</summary>
public sealed class SamplingStepTests
{
    private static readonly float[] Known = [0.04f, 0.3f, 0.06f, 0.4f, 0.2f];

    [Fact]
    public void Draw_NoStep_EveryTokenCanCome() => Assert.Equal([0, 1, 2, 3, 4], Support(new(), Known));

    [Fact]
    public void TopK_Two_LeavesTwoMostLikely() => Assert.Equal([1, 3], Support(new() { TopK = 2 }, Known));

    [Fact]
    public void TopK_EqualLogits_LeavesLowestIds() => Assert.Equal([1, 2], Support(new() { TopK = 2 }, [0.1f, 0.3f, 0.3f, 0.3f]));

    // 0.4 + 0.3 = 0.7 < 0.75 <= 0.9
    [Fact]
    public void TopP_BetweenSums_LeavesTheTokenThatCrosses() => Assert.Equal([1, 3, 4], Support(new() { TopP = 0.75f }, Known));

    [Fact]
    public void TopP_Zero_LeavesTheMostLikely() => Assert.Equal([3], Support(new() { TopP = 0 }, Known));

    // 0.4 * 0.3 = 0.12
    [Fact]
    public void MinP_ShareOfLargest_LeavesThoseAbove() => Assert.Equal([1, 3, 4], Support(new() { MinP = 0.3f }, Known));

    // entropy 1.3484 nats; surprises 3.219, 1.204, 2.813, 0.916, 1.609: nearest are tokens 1 (0.144), 4 (0.261), 3 (0.432)
    [Fact]
    public void Typical_SmallMass_LeavesTokensNearestToEntropy()
    {
        Assert.Equal([1], Support(new() { TypicalP = 0.2f }, Known));
        Assert.Equal([1, 4], Support(new() { TypicalP = 0.45f }, Known));
        Assert.Equal([1, 3, 4], Support(new() { TypicalP = 0.6f }, Known));
    }

    // logits 0, 2, 4, 6, 8: standard deviation sqrt(8) = 2.83
    [Fact]
    public void TopNSigma_OneDeviation_LeavesLogitsWithin()
    {
        float[] probabilities = [.. new[] { 0, 2, 4, 6, 8 }.Select(logit => MathF.Exp(logit))];
        Assert.Equal([3, 4], Support(new() { TopNSigma = 1, Temperature = 10 }, probabilities));
        Assert.Equal([2, 3, 4], Support(new() { TopNSigma = 1.5f, Temperature = 10 }, probabilities));
    }

    // likely enough are 0.4, 0.3 and 0.2: the last of them stays, and so do the unlikely ones
    [Fact]
    public void Xtc_Certain_RemovesTopChoicesButTheLast()
    {
        Assert.Equal([0, 2, 4], Support(new() { XtcProbability = 1, XtcThreshold = 0.15f }, Known));
        Assert.Equal([0, 1, 2, 3, 4], Support(new() { XtcProbability = 1, XtcThreshold = 0.35f }, Known));
        Assert.Equal([0, 1, 2, 3, 4], Support(new() { XtcProbability = 0, XtcThreshold = 0.15f }, Known));
    }

    [Fact]
    public void Temperature_Low_SharpensAndHighFlattens()
    {
        // p^(1/T), normalised: T = 0.5 gives 0.16 / 0.2952 = 0.5420; T = 2 gives 0.6325 / 2.0696... = 0.3000
        Assert.Equal(0.16 / (0.0016 + 0.09 + 0.0036 + 0.16 + 0.04), Share(new() { Temperature = 0.5f }, Known, 3), 0.03);
        Assert.Equal(0.63246 / (0.2 + 0.54772 + 0.24495 + 0.63246 + 0.44721), Share(new() { Temperature = 2 }, Known, 3), 0.03);
    }

    // a uniform distribution has the highest entropy: temperature 1 + 0.5; a nearly certain one the lowest: 1 - 0.5
    [Fact]
    public void DynamicTemperature_FollowsEntropy()
    {
        float[] nearlyCertain = [0.998f, 0.002f];
        double cold = Share(new() { DynamicTemperatureRange = 0.9f }, nearlyCertain, 1);
        double warm = Share(new(), nearlyCertain, 1);
        Assert.True(cold < warm, $"{cold} < {warm}");
        Assert.Equal(0.5, Share(new() { DynamicTemperatureRange = 0.9f }, [0.5f, 0.5f], 1), 0.03);
    }

    [Fact]
    public void LogitBias_ForbidsAndForces()
    {
        Assert.Equal([0, 1, 2, 4], Support(new() { LogitBias = new Dictionary<int, float> { [3] = -100 } }, Known));
        Assert.Equal([0], Support(new() { LogitBias = new Dictionary<int, float> { [0] = 100 } }, Known));
    }

    [Fact]
    public void Order_Settable_ChangesWhatIsLeft()
    {
        // at temperature 0.5 the probabilities are 0.0054, 0.305, 0.012, 0.542, 0.136: 0.542 + 0.305 reach 0.75
        SamplingParameters late = new() { Temperature = 0.5f, TopP = 0.75f };
        SamplingParameters early = late with { Order = [SamplingStep.Temperature, SamplingStep.TopP] };
        Assert.Equal([1, 3, 4], Support(late, Known));
        Assert.Equal([1, 3], Support(early, Known));
        Assert.Equal([0, 1, 2, 3, 4], Support(late with { Order = [] }, Known));
    }

    // the largest surprise allowed is mu = 2 tau = 2 bits: probabilities from 0.25
    [Fact]
    public void Mirostat2_AtStart_DropsSurpriseAboveTwiceTau() =>
        Assert.Equal([1, 3], Support(new() { Mirostat = 2, MirostatTau = 1 }, Known));

    // two tokens of 5 bits each: mu = 2 - 2 * 0.25 * (5 - 1) = 0: only the most likely is left
    [Fact]
    public void Mirostat2_AfterSurprisingTokens_NarrowsFromTheirLogProbs()
    {
        SamplingParameters parameters = new() { Mirostat = 2, MirostatTau = 1, MirostatEta = 0.25f };
        float fiveBits = -5 * MathF.Log(2);
        Assert.Equal([3], Support(parameters, Known, emitted: [fiveBits, fiveBits]));
    }

    // Zipf exponent 1.5 over 1000 tokens: k = (0.5 * 2^mu / (1 - 1000^-0.5))^(1/1.5); mu = 6: (32 / 0.96838)^(2/3) = 10.3
    [Fact]
    public void Mirostat1_ZipfDistribution_KeepsTheKOfTheFormula()
    {
        float[] zipf = [.. Enumerable.Range(1, 1000).Select(rank => MathF.Pow(rank, -1.5f))];
        Assert.Equal(Enumerable.Range(0, 10), Support(new() { Mirostat = 1, MirostatTau = 3 }, zipf));
    }

    private static int[] Support(SamplingParameters parameters, float[] probabilities, float[]? emitted = null) =>
        [.. Draws(parameters, probabilities, emitted ?? []).Distinct().Order()];

    private static double Share(SamplingParameters parameters, float[] probabilities, int id) =>
        Draws(parameters, probabilities, []).Count(drawn => drawn == id) / 4000.0;

    private static int[] Draws(SamplingParameters parameters, float[] probabilities, float[] emitted)
    {
        TokenSampler sampler = new(parameters, probabilities.Length);
        int[] history = new int[4000];
        return [.. Enumerable.Range(0, 4000).Select(position =>
            sampler.Sample([.. probabilities.Select(p => MathF.Log(p))], history.AsSpan(0, position), [], emitted).Id)];
    }
}
