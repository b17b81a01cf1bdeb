using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Kernels;

public sealed class CpuVariantsTests
{
    [Fact]
    public void Choose_WithoutARequest_TakesTheFastest() => Assert.Equal(CpuVariants.Available[^1], CpuVariants.Choose(null));

    [Fact]
    public void Choose_WithARequest_TakesIt()
    {
        foreach (CpuVariant variant in CpuVariants.Available)
        {
            Assert.Equal(variant, CpuVariants.Choose(variant.ToString().ToLowerInvariant()));
        }
    }

    [Theory]
    [InlineData("neon")]
    [InlineData("0")]
    [InlineData("scalar,avx2")]
    public void Choose_WithAnUnknownRequest_NamesItAndWhatThereIs(string requested)
    {
        string message = Assert.Throws<NotSupportedException>(() => CpuVariants.Choose(requested)).Message;
        Assert.Contains(requested, message);
        Assert.Contains("scalar", message);
    }
}
