using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

/// <summary>A sampler that is given only the logits it says it needs chooses as with all of them.</summary>
public sealed class LargestLogitsTests
{
    private const int Vocabulary = 500;

    public static TheoryData<string, SamplingParameters, bool> Parameters => new()
    {
        { "greedy", new SamplingParameters { Temperature = 0 }, true },
        { "greedy with log-probabilities", new SamplingParameters { Temperature = 0, LogProbs = true, TopLogProbs = 5 }, true },
        { "top-k", new SamplingParameters { Temperature = 0.8f, TopK = 30, TopP = 0.9f, MinP = 0.02f, LogProbs = true, Seed = 3 }, true },
        { "top-k after penalties", new SamplingParameters { Temperature = 1.1f, TopK = 20, RepetitionPenalty = 1.3f, PenaltyWindow = 16, Seed = 4 }, true },
        { "top-p alone", new SamplingParameters { Temperature = 1, TopK = 0, TopP = 0.9f }, false },
        { "greedy with a bias", new SamplingParameters { Temperature = 0, LogitBias = new Dictionary<int, float> { [3] = 5 } }, false },
    };

    [Theory]
    [MemberData(nameof(Parameters))]
    public void Sample_FromTheLogitsNeeded_ChoosesAsFromAll(string name, SamplingParameters parameters, bool some)
    {
        var random = new Random(1);
        for (int round = 0; round < 50; round++)
        {
            float[] logits = [.. Enumerable.Range(0, Vocabulary).Select(_ => MathF.Round(random.NextSingle() * 40) / 4)];
            int[] history = [.. Enumerable.Range(0, 20 + round).Select(_ => random.Next(Vocabulary))];
            int[] barred = round % 3 == 0 ? [Array.IndexOf(logits, logits.Max()), 7] : [];
            var sampler = new TokenSampler(parameters, Vocabulary);
            int needed = sampler.LogitsNeeded(history.Length, barred.Length);
            Assert.True(some == needed > 0, $"{name} needs {needed}");
            if (needed == 0)
            {
                return;
            }

            float[] sparse = [.. Enumerable.Repeat(float.NegativeInfinity, Vocabulary)];
            foreach (int id in Enumerable.Range(0, Vocabulary).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(needed))
            {
                sparse[id] = logits[id];
            }

            float normaliser = (float)Math.Log(logits.Sum(logit => Math.Exp(logit)));
            var topOfAll = new TokenLogProb[parameters.TopLogProbs];
            var topOfSome = new TokenLogProb[parameters.TopLogProbs];
            TokenLogProb ofAll = sampler.Sample((float[])logits.Clone(), history, topOfAll, barred: barred);
            TokenLogProb ofSome = sampler.Sample(sparse, history, topOfSome, barred: barred, logNormaliser: normaliser);
            Assert.Equal(ofAll.Id, ofSome.Id);
            Assert.Equal(topOfAll.Select(top => top.Id), topOfSome.Select(top => top.Id));
            if (parameters.LogProbs)
            {
                Assert.Equal(ofAll.LogProb, ofSome.LogProb, 1e-4);
            }
        }
    }
}
