using CsCheck;
using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

public sealed class TokenSamplerTests
{
    private static readonly SamplingParameters Greedy = new() { Temperature = 0 };

    [Fact]
    public void Sample_TemperatureZeroWithEqualLogits_ChoosesLowestId()
    {
        Assert.Equal(2, Sample(Greedy, [1, -3, 7, 7, 6, 7, 0, 0, 0, 7]).Id);
    }

    [Trait("Attack", "A12")]
    [Fact]
    public void Sample_NaNAndInfinityAmongLogits_ChoosesLargestFinite()
    {
        Assert.Equal(3, Sample(Greedy, [float.NaN, float.PositiveInfinity, -5, -4, float.NegativeInfinity, -6, -7, -8, float.NaN]).Id);
    }

    [Trait("Attack", "A12")]
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(float.PositiveInfinity)]
    public void Sample_NoFiniteLogit_Throws(float value)
    {
        float[] logits = new float[11];
        foreach (float temperature in new[] { 0f, 1f })
        {
            Array.Fill(logits, value);
            Assert.Throws<InvalidDataException>(() => new TokenSampler(new() { Temperature = temperature }, 11).Sample(logits, [1, 2], []));
        }
    }

    [Fact]
    public void Sample_LogProbs_AreLogSoftmaxOfRawLogits()
    {
        // probabilities 1/10, 2/10, 3/10, 4/10; neither bias, penalty nor temperature may show
        float[] logits = [MathF.Log(1), MathF.Log(2), MathF.Log(3), MathF.Log(4)];
        SamplingParameters parameters = new()
        {
            Temperature = 0,
            LogProbs = true,
            TopLogProbs = 3,
            RepetitionPenalty = 5,
            LogitBias = new Dictionary<int, float> { [1] = 50 },
        };
        TokenLogProb[] top = new TokenLogProb[3];
        TokenLogProb chosen = new TokenSampler(parameters, 4).Sample(logits, [3], top);

        Assert.Equal(1, chosen.Id);
        Assert.Equal(MathF.Log(0.2f), chosen.LogProb, 1e-6f);
        Assert.Equal([3, 2, 1], top.Select(entry => entry.Id));
        Assert.Equal(MathF.Log(0.4f), top[0].LogProb, 1e-6f);
        Assert.Equal(MathF.Log(0.3f), top[1].LogProb, 1e-6f);
    }

    [Fact]
    public void Sample_ManyPositions_FollowsDistribution()
    {
        float[] probabilities = [0.1f, 0.2f, 0.3f, 0.4f];
        double[] counts = new double[4];
        TokenSampler sampler = new(new() { Seed = 7 }, 4);
        int[] history = new int[20_000];
        for (int position = 0; position < history.Length; position++)
        {
            counts[sampler.Sample([.. probabilities.Select(p => MathF.Log(p))], history.AsSpan(0, position), []).Id]++;
        }

        // four standard deviations of the widest share are 0.014
        for (int id = 0; id < 4; id++)
        {
            Assert.Equal(probabilities[id], counts[id] / history.Length, 0.014);
        }
    }

    [Fact]
    public void Sample_SameArguments_SameTokenWhateverWasSampledBefore()
    {
        SamplingParameters parameters = new() { Seed = 3, TopK = 50, TopP = 0.95f, RepetitionPenalty = 1.2f, PresencePenalty = 0.3f, XtcProbability = 0.5f };
        TokenSampler used = new(parameters, 1000);
        Gen.Select(Gen.Float[-10, 10].Array[1000], Gen.Int[0, 999].Array[0, 100]).Sample((logits, history) =>
            used.Sample([.. logits], history, []) == new TokenSampler(parameters, 1000).Sample([.. logits], history, []), iter: 200, threads: 1);
    }

    // a bias of nothing on some token keeps the sampler from leaving tokens out beforehand
    [Fact]
    public void Sample_TopKWithTokensLeftOutBeforehand_ChoosesAsWithAll()
    {
        SamplingParameters parameters = new() { Seed = 5, TopK = 20, TopP = 0.99f, RepetitionPenalty = 1.5f, FrequencyPenalty = 0.5f, Temperature = 3 };
        TokenSampler quick = new(parameters, 20_000), full = new(parameters with { LogitBias = new Dictionary<int, float> { [0] = 0 } }, 20_000);
        Random random = new(8);
        for (int i = 0; i < 200; i++)
        {
            float[] logits = [.. Enumerable.Range(0, 20_000).Select(_ => random.Next(400) / 20f - 10)];
            int[] history = [.. Enumerable.Range(0, i).Select(_ => random.Next(20_000))];
            Assert.Equal(full.Sample([.. logits], history, []).Id, quick.Sample(logits, history, []).Id);
        }
    }

    [Fact]
    public void Sample_WarmedUp_AllocatesNothing()
    {
        SamplingParameters parameters = new() { TopK = 40, TopP = 0.9f, MinP = 0.01f, RepetitionPenalty = 1.1f, TopLogProbs = 5, Temperature = 0.7f };
        TokenSampler sampler = new(parameters, 4096);
        float[] logits = new float[4096];
        TokenLogProb[] top = new TokenLogProb[5];
        int[] history = new int[64];
        Step(0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Step(1);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Step(int salt)
        {
            for (int i = 0; i < logits.Length; i++)
            {
                logits[i] = (i * 7919 + salt) % 4096 / 400f;
            }

            sampler.Sample(logits, history, top);
        }
    }

    [Fact]
    public void Validate_BadValues_GivesOneSentenceEach()
    {
        SamplingParameters parameters = new() { Temperature = float.NaN, TopK = -1, TopP = 1.5f, Order = [SamplingStep.TopK, SamplingStep.TopK] };
        Assert.Equal(4, parameters.Validate().Count);
        Assert.Contains("TopP is 1.5; it must be between 0 and 1.", parameters.Validate());
        Assert.Contains("TopK is -1; it must be at least 0.", parameters.Validate());
        Assert.Empty(new SamplingParameters().Validate());
        Assert.Throws<ArgumentException>(() => new TokenSampler(parameters, 10));
    }

    private static TokenLogProb Sample(SamplingParameters parameters, float[] logits, params int[] history) =>
        new TokenSampler(parameters, logits.Length).Sample(logits, history, new TokenLogProb[parameters.TopLogProbs]);
}
