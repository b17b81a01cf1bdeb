using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Tests.Kernels.Elementwise;

/// <summary>Every operation on every instruction set: values by hand or from double precision, and the same bits as the scalar definition.</summary>
public sealed unsafe class ElementwiseTests
{
    public static TheoryData<CpuVariant> Variants => [.. CpuVariants.Available];

    [Theory]
    [MemberData(nameof(Variants))]
    public void RmsNorm_OfThreeAndFour_DividesByTheirRootMeanSquare(CpuVariant variant)
    {
        // Mean of squares 12.5, and 3.5 more from epsilon: the root is 4.
        float[] y = Run(variant, [3, 4], (kernels, x) =>
        {
            float* weight = stackalloc float[] { 2, 0.5f };
            kernels.RmsNorm(x, weight, x, 1, 2, 3.5f);
        });
        Assert.Equal([1.5f, 0.5f], y);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void LayerNorm_OfFourValues_CentresAndScales(CpuVariant variant)
    {
        // Mean 4, deviations -3 -1 1 3, variance 5, and 4 more from epsilon: the root is 3.
        float[] y = Run(variant, [1, 3, 5, 7], (kernels, x) =>
        {
            float* weight = stackalloc float[] { 1, 1, 1, 2 };
            float* bias = stackalloc float[] { 0, 0, 1, 1 };
            kernels.LayerNorm(x, weight, bias, x, 1, 4, 4);
        });
        Near([-1, -1 / 3.0, 4 / 3.0, 3], y, 1e-6);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void HeadNorm_OfTwoHeads_NormsEachByItself(CpuVariant variant)
    {
        float[] y = Run(variant, [3, 4, 30, 40], (kernels, x) =>
        {
            float* weight = stackalloc float[] { 1, 1, 2, 1 };
            kernels.HeadNorm(x, 1, 2, 2, weight, 2, layerNorm: false, 0);
        });
        double root = Math.Sqrt(12.5);
        Near([3 / root, 4 / root, 6 / root, 4 / root], y, 1e-6);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Activations_OverTheirRange_MatchDoublePrecision(CpuVariant variant)
    {
        float[] gate = [.. Enumerable.Range(-100, 201).Select(i => i * 0.11f)], up = [.. gate.Select(v => 3 - v)];
        var formulas = new (Activation Activation, Func<double, double> Plain, Func<double, double, double>? Gated)[]
        {
            (Activation.Silu, x => x / (1 + Math.Exp(-x)), null),
            (Activation.Gelu, x => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))), null),
            (Activation.ReluSquared, x => x > 0 ? x * x : 0, null),
            (Activation.SwigluOai, x => Math.Min(x, 7) / (1 + Math.Exp(-1.702 * Math.Min(x, 7))), (g, u) => g * (Math.Clamp(u, -7, 7) + 1)),
        };
        foreach (var (activation, plain, gated) in formulas)
        {
            fixed (float* u = up)
            {
                nint second = (nint)u;
                Near([.. gate.Select(v => plain(v))], Run(variant, gate, (kernels, x) => kernels.Activate(activation, x, null, x, 1, gate.Length)), 1e-5);
                Near(
                    [.. gate.Zip(up, (g, v) => gated is null ? plain(g) * v : gated(plain(g), v))],
                    Run(variant, gate, (kernels, x) => kernels.Activate(activation, x, new Rows((float*)second, 0), x, 1, gate.Length)),
                    1e-4);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Softmax_OfManyValues_MatchesDoublePrecision(CpuVariant variant)
    {
        float[] x = [.. Enumerable.Range(0, 37).Select(i => (i * 7 % 11) - (i % 3 * 20f))];
        double max = x.Max(), sum = x.Sum(v => Math.Exp(v - max));
        Near([.. x.Select(v => Math.Exp(v - max) / sum)], Run(variant, x, (kernels, rows) => kernels.Softmax(rows, 1, x.Length)), 1e-6);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void SoftCap_ScaleAndAdd_MatchTheirFormulas(CpuVariant variant)
    {
        float[] x = [.. Enumerable.Range(-20, 41).Select(i => i * 3.7f)];
        Near([.. x.Select(v => 30 * Math.Tanh(v / 30.0))], Run(variant, x, (kernels, rows) => kernels.SoftCap(rows, 30, 1, x.Length)), 1e-5);
        Assert.Equal([.. x.Select(v => v * 0.25f)], Run(variant, x, (kernels, rows) => kernels.Scale(rows, 0.25f, 1, x.Length)));
        Assert.Equal([.. x.Select(v => v + (2 * v))], Run(variant, x, (kernels, rows) => kernels.Add(rows, 2, rows, 1, x.Length)));
        Assert.Equal([.. x.Select(v => Math.Clamp(v, -10, 10))], Run(variant, x, (kernels, rows) => kernels.Clamp(rows, 10, 1, x.Length)));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Rope_AQuarterTurn_SwapsThePairs(CpuVariant variant)
    {
        // Position 1 at a quarter turn per position: (a, b) becomes (-b, a); the last two dimensions stay.
        float[] x = [1, 2, 3, 4, 5, 6];
        Near([-2, 1, -4, 3, 5, 6], Rotated(RopePairing.Interleaved), 1e-6);
        Near([-3, -4, 1, 2, 5, 6], Rotated(RopePairing.Halves), 1e-6);

        float[] Rotated(RopePairing pairing) => Run(variant, x, (kernels, rows) =>
        {
            var angles = new RopeAngles(pairing, [Math.PI / 2, Math.PI / 2], 1);
            float* cosines = stackalloc float[4];
            float* sines = stackalloc float[4];
            int position = 1;
            kernels.RopeFactors(angles, &position, 1, new Rows(cosines, 4), new Rows(sines, 4));
            kernels.Rope(angles, new Rows(cosines, 4), new Rows(sines, 4), rows, 1, 1, 6);
        });
    }

    [Fact]
    public void Operations_OnEveryVariant_GiveTheBitsOfTheScalarDefinition()
    {
        foreach (int length in new[] { 1, 7, 16, 40, 257 })
        {
            var random = new Random(length);
            float[] x = [.. Enumerable.Range(0, length).Select(_ => (random.NextSingle() - 0.5f) * MathF.Pow(10, random.Next(-3, 3)))];
            float[] weight = [.. x.Select(v => 1 + (v * 0.01f))];
            float[][] results = [.. CpuVariants.Available.Select(variant => All(variant, x, weight))];
            Assert.All(results, result => Assert.Equal(results[0].Select(BitConverter.SingleToInt32Bits), result.Select(BitConverter.SingleToInt32Bits)));
        }
    }

    private static float[] All(CpuVariant variant, float[] x, float[] weight)
    {
        fixed (float* w = weight)
        {
            nint pointer = (nint)w;
            int n = x.Length;
            IEnumerable<float> values = Run(variant, x, (k, r) => k.RmsNorm(r, (float*)pointer, r, 1, n, 1e-5f))
                .Concat(Run(variant, x, (k, r) => k.LayerNorm(r, (float*)pointer, (float*)pointer, r, 1, n, 1e-5f)))
                .Concat(Run(variant, x, (k, r) => k.Softmax(r, 1, n)))
                .Concat(Run(variant, x, (k, r) => k.Sigmoid(r, 1, n)))
                .Concat(Run(variant, x, (k, r) => k.SoftCap(r, 30, 1, n)))
                .Concat(Run(variant, x, (k, r) => k.Add(r, 0.3f, r, 1, n)));
            foreach (Activation activation in Enum.GetValues<Activation>())
            {
                values = values.Concat(Run(variant, x, (k, r) => k.Activate(activation, r, new Rows((float*)pointer, 0), r, 1, n)));
            }

            return [.. values];
        }
    }

    private delegate void Operation(CpuKernels kernels, Rows x);

    private static float[] Run(CpuVariant variant, float[] x, Operation operation)
    {
        using var team = new WorkerTeam(1, variant);
        using var buffer = new NativeBuffer(x.Length * sizeof(float));
        var values = new Span<float>(buffer.Pointer, x.Length);
        x.CopyTo(values);
        operation(CpuKernels.For(team), new Rows((float*)buffer.Pointer, x.Length));
        return values.ToArray();
    }

    private static void Near(double[] expected, float[] actual, double relative)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= relative * Math.Max(1, Math.Abs(expected[i])), $"[{i}] is {actual[i]}, expected {expected[i]}");
        }
    }
}
