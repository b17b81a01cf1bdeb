using Lamina.Compute.Kernels.Elementwise;

namespace Lamina.Compute.Tests.Kernels.Elementwise;

public sealed class ExactMathTests
{
    [Fact]
    public void Functions_OverTheirRange_MatchThePlatform()
    {
        var random = new Random(3);
        for (int i = 0; i < 20_000; i++)
        {
            double angle = (random.NextDouble() - 0.5) * Math.Pow(10, random.Next(0, 8));
            (double sin, double cos) = ExactMath.SinCos(angle);
            Assert.Equal(Math.Sin(angle), sin, 1e-9);
            Assert.Equal(Math.Cos(angle), cos, 1e-9);

            double x = random.NextDouble() * Math.Pow(10, random.Next(-8, 9));
            Assert.Equal(Math.Log(x), ExactMath.Log(x), 1e-13 * Math.Max(1, Math.Abs(Math.Log(x))));
            double exponent = (random.NextDouble() - 0.5) * 200;
            Assert.Equal(1, ExactMath.Exp(exponent) / Math.Exp(exponent), 1e-13);
        }

        Assert.Equal((0.0, 1.0), ExactMath.SinCos(0));
        Assert.Equal(0.01, ExactMath.Pow(10000, -0.5), 1e-16);
    }
}
