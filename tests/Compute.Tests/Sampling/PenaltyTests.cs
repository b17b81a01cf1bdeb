using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

public sealed class PenaltyTests
{
    // 3 / 2 = 1.5 falls below 2; -1 * 2 = -2 falls below -1.5
    [Theory]
    [InlineData(new float[] { 2, 3, 0 }, 1, 0)]
    [InlineData(new float[] { -1.5f, -1, -9 }, 1, 0)]
    [InlineData(new float[] { 2, 3, 0 }, 2, 1)]
    public void RepetitionPenalty_Two_DividesPositiveAndMultipliesNegative(float[] logits, int seen, int expected) =>
        Assert.Equal(expected, Greedy(new() { RepetitionPenalty = 2 }, logits, seen));

    [Fact]
    public void PenaltyWindow_TokenOutsideIt_IsNotPenalised()
    {
        SamplingParameters parameters = new() { RepetitionPenalty = 2, PenaltyWindow = 2 };
        Assert.Equal(1, Greedy(parameters, [2, 3, 0], 1, 2, 2));
        Assert.Equal(0, Greedy(parameters, [2, 3, 0], 2, 1, 2));
        Assert.Equal(0, Greedy(parameters with { PenaltyWindow = -1 }, [2, 3, 0], 1, 2, 2));
        Assert.Equal(1, Greedy(parameters with { PenaltyWindow = 0 }, [2, 3, 0], 1, 2, 2));
    }

    // presence counts once (3 - 0.6 = 2.4), frequency each time (3 - 2 * 0.6 = 1.8)
    [Fact]
    public void PresenceAndFrequency_TokenSeenTwice_SubtractOnceAndTwice()
    {
        Assert.Equal(1, Greedy(new() { PresencePenalty = 0.6f }, [2, 3, 0], 1, 1));
        Assert.Equal(0, Greedy(new() { FrequencyPenalty = 0.6f }, [2, 3, 0], 1, 1));
        Assert.Equal(1, Greedy(new() { FrequencyPenalty = 0.6f }, [2, 3, 0], 1));
    }

    // "1 2 3 ... 1 2": 3 would prolong a repeat of two tokens and loses 1 * 2^(2-2) = 1; after "0 1 2" the repeat is three long and it loses 2
    [Fact]
    public void Dry_ProlongedRepeat_LosesMultiplierTimesBasePower()
    {
        SamplingParameters parameters = new() { DryMultiplier = 1, DryBase = 2, DryBreakers = [] };
        Assert.Equal(3, Greedy(parameters, [0, 0, 0, 5, 3.5f, 0], 1, 2, 3, 5, 1, 2));
        Assert.Equal(4, Greedy(parameters, [0, 0, 0, 5, 4.5f, 0], 1, 2, 3, 5, 1, 2));
        Assert.Equal(4, Greedy(parameters, [0, 0, 0, 5, 3.5f, 0], 0, 1, 2, 3, 5, 0, 1, 2));
        Assert.Equal(3, Greedy(parameters with { DryAllowedLength = 3 }, [0, 0, 0, 5, 4.5f, 0], 1, 2, 3, 5, 1, 2));
        Assert.Equal(3, Greedy(parameters with { DryWindow = 4 }, [0, 0, 0, 5, 4.5f, 0], 1, 2, 3, 5, 1, 2));
    }

    [Fact]
    public void Dry_LongHistoryOfOneToken_IsLinear()
    {
        int[] history = new int[100_000];
        Assert.Equal(1, Greedy(new() { DryMultiplier = 1, DryBreakers = [] }, [5, 1], history));
    }

    [Fact]
    public void Dry_BreakersWithoutTokenizer_IsRefused() =>
        Assert.Throws<ArgumentException>(() => new TokenSampler(new() { DryMultiplier = 1 }, 10));

    private static int Greedy(SamplingParameters parameters, float[] logits, params int[] history) =>
        new TokenSampler(parameters with { Temperature = 0 }, logits.Length).Sample([.. logits], history, []).Id;
}
