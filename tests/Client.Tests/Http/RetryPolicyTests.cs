using System.Net;
using System.Net.Http.Headers;
using Lamina.Client.Http;

namespace Lamina.Client.Tests.Http;

public sealed class RetryPolicyTests
{
    private readonly RetryPolicy _policy = new(new LaminaClientOptions
    {
        Endpoint = new Uri("http://localhost"), MaxRetries = 8, RetryDelay = TimeSpan.FromSeconds(1), MaxRetryDelay = TimeSpan.FromSeconds(10),
    });

    [Theory]
    [InlineData(1, 0.0, 1.0)]
    [InlineData(1, 1.0, 0.5)]
    [InlineData(2, 0.0, 2.0)]
    [InlineData(4, 0.5, 6.0)]
    [InlineData(5, 0.0, 10.0)]
    [InlineData(8, 1.0, 5.0)]
    public void Delay_NoRetryAfter_DoublesToItsLimitLessUpToHalf(int failed, double chance, double seconds) =>
        Assert.Equal(seconds, _policy.Delay(failed, null, chance)!.Value.TotalSeconds, 6);

    [Fact]
    public void Delay_MoreFailuresThanRetries_IsNone() => Assert.Null(_policy.Delay(9, null, 0));

    [Theory]
    [InlineData(0.0, 4.0)]
    [InlineData(1.0, 5.0)]
    public void Delay_RetryAfter_IsNeverUndercut(double chance, double seconds) =>
        Assert.Equal(seconds, _policy.Delay(1, TimeSpan.FromSeconds(4), chance)!.Value.TotalSeconds, 6);

    [Fact]
    public void Delay_RetryAfterBeyondPatience_IsNone() => Assert.Null(_policy.Delay(1, TimeSpan.FromSeconds(11), 0));

    [Theory]
    [InlineData(400, false)]
    [InlineData(404, false)]
    [InlineData(408, true)]
    [InlineData(422, false)]
    [InlineData(429, true)]
    [InlineData(500, true)]
    [InlineData(501, false)]
    [InlineData(503, true)]
    public void MayPass_Status_SaysWhetherToRepeat(int status, bool expected) => Assert.Equal(expected, RetryPolicy.MayPass((HttpStatusCode)status));

    [Fact]
    public void RetryAfter_Date_IsTheTimeLeft()
    {
        var now = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(TimeSpan.FromSeconds(90), RetryPolicy.RetryAfter(new RetryConditionHeaderValue(now.AddSeconds(90)), now));
        Assert.Equal(TimeSpan.Zero, RetryPolicy.RetryAfter(new RetryConditionHeaderValue(now.AddSeconds(-1)), now));
    }
}
