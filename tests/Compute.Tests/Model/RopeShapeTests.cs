using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Model;

namespace Lamina.Compute.Tests.Model;

public sealed class RopeShapeTests
{
    private static readonly RopeShape Plain = new() { Pairing = RopePairing.Halves, Dimensions = 4, Base = 100, OriginalContext = 64 };

    [Fact]
    public void Angles_Unscaled_FallByTheBase()
    {
        Near([1, 0.1], Plain.Angles(null).Frequencies);
        Near([0.5, 0.025], Plain.Angles([2, 4]).Frequencies);
    }

    [Fact]
    public void Angles_Linear_AreDivided() => Near([0.25, 0.025], (Plain with { Scaling = RopeScaling.Linear, Factor = 4 }).Angles(null).Frequencies);

    [Fact]
    public void Angles_Yarn_StretchSlowPairsOnly()
    {
        // Eight pairs, base 10000, context 2048. Rotations over the context: pair i turns 2048 × 10000^(-i/8) / 2π times.
        // 32 turns: i = 16 ln(2048 / (32 × 2π)) / (2 ln 10000) = 2.01..., down to 2; one turn: 5.02..., up to 6.
        RopeShape yarn = Plain with { Dimensions = 16, Base = 10000, OriginalContext = 2048, Scaling = RopeScaling.Yarn, Factor = 4 };
        RopeAngles angles = yarn.Angles(null);
        var expected = new double[8];
        for (int i = 0; i < 8; i++)
        {
            double trained = Math.Pow(10000, -i / 8.0), stretched = Math.Clamp((i - 2) / 4.0, 0, 1);
            expected[i] = trained * (1 - stretched + (stretched / 4));
        }

        Near(expected, angles.Frequencies);
        Assert.Equal(1 + (0.1 * Math.Log(4)), angles.Magnitude, 1e-6);
        Assert.Equal(1, (yarn with { YarnLogMultiplier = 0.7f }).Angles(null).Magnitude);
    }

    private static void Near(double[] expected, double[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], 1e-12);
        }
    }
}
