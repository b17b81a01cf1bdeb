namespace Lamina.Coordinator.Tests;

public sealed class RuntimeVersionTests
{
    [Theory]
    [InlineData("9.0.20", true)]
    [InlineData("10.0.12", true)]
    [InlineData("10.0.13", false)]
    [InlineData("10.1.0", false)]
    [InlineData("11.0.0", false)]
    public void Advice_OfARuntimeWithoutTheFixes_NamesItAndWhatIsNeeded(string runtime, bool advises)
    {
        string? advice = RuntimeVersion.Advice(Version.Parse(runtime));
        Assert.Equal(advises, advice is not null);
        if (advises)
        {
            Assert.Contains(runtime, advice, StringComparison.Ordinal);
            Assert.Contains("10.0.13", advice, StringComparison.Ordinal);
        }
    }
}
