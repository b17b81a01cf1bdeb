using CsCheck;
using Lamina.Compute.Sampling;

namespace Lamina.Compute.Tests.Sampling;

public sealed class SoftmaxTests
{
    [Fact]
    public void Exponentiate_AnyLength_IsNearExp()
    {
        Gen.Float[-90, 0].Array[0, 700].Sample(logits =>
        {
            float[] weights = new float[logits.Length];
            double total = Softmax.Exponentiate(logits, 0, weights);
            for (int i = 0; i < logits.Length; i++)
            {
                double exact = logits[i] < -87 ? 0 : Math.Exp(logits[i]);
                Assert.Equal(exact, weights[i], exact * 3e-7);
            }

            Assert.Equal(total, Softmax.Exponentiate(logits, 0, default));
            Assert.Equal(weights.Sum(w => (double)w), total, 1e-4);
        }, iter: 200);
    }

    // pinned with AVX2; must hold with DOTNET_EnableAVX512F=0, DOTNET_EnableAVX2=0 and DOTNET_EnableHWIntrinsic=0 alike
    [Fact]
    public void Exponentiate_EveryVectorWidth_GivesTheSameBits()
    {
        float[] logits = [.. Enumerable.Range(0, 5003).Select(i => i * 7919 % 5003 / -57f)];
        float[] weights = new float[logits.Length];
        double total = Softmax.Exponentiate(logits, 0, weights);
        uint hash = 2166136261;
        foreach (float weight in weights)
        {
            hash = (hash ^ BitConverter.SingleToUInt32Bits(weight)) * 16777619;
        }

        Assert.Equal((2915034453u, 4633289428619244703L), (hash, BitConverter.DoubleToInt64Bits(total)));
    }

    [Fact]
    public void Find_TargetWithinOrBeyondSum_GivesIndexOfRunningSum()
    {
        float[] weights = new float[1000];
        weights[3] = 1;
        weights[700] = 2;
        Assert.Equal(3, Softmax.Find(weights, 0));
        Assert.Equal(3, Softmax.Find(weights, 0.99));
        Assert.Equal(700, Softmax.Find(weights, 1));
        Assert.Equal(700, Softmax.Find(weights, 3.1));
    }

    [Fact]
    public void RadixSelect_RandomKeysAndWeights_AgreesWithSorting()
    {
        Gen.Select(Gen.Int[-6, 6].Select(i => i / 3f).Array[1, 60], Gen.Double[0, 1.1]).Sample((keys, share) =>
        {
            float[] weights = [.. keys.Select((key, i) => (float)(i % 5 + 1))];
            double goal = Math.Max(share * weights.Sum(), 0.5);
            double mass = 0;
            HashSet<int> expected = [];
            foreach (int i in Enumerable.Range(0, keys.Length).OrderByDescending(i => keys[i]).ThenBy(i => i))
            {
                if (mass < goal)
                {
                    expected.Add(i);
                    mass += weights[i];
                }
            }

            (uint threshold, int ties) = new RadixSelect().Find(keys, weights, goal);
            int[] kept = [.. Enumerable.Range(0, keys.Length).Where(i => RadixSelect.Rank(keys[i]) > threshold
                || (RadixSelect.Rank(keys[i]) == threshold && ties-- > 0))];
            Assert.Equal(expected.Order(), kept);
        }, iter: 1000);
    }
}
