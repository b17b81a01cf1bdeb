using System.Runtime.CompilerServices;
using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Quotas;

namespace Lamina.Coordinator.Tests.Quotas;

public sealed class MeteredAnswerTests
{
    /// <summary>What the audit log says of an answer: a queue that was full is no fault of the model.</summary>
    [Theory]
    [InlineData("", "completed")]
    [InlineData("overloaded", "refused")]
    [InlineData("lost", "failed")]
    public async Task Result_OfAnAnswer_TellsRefusalFromFailure(string error, string expected)
    {
        var results = new List<string>();
        var answer = new PendingAnswer("gen", true, 0, null, cancellation => RunAsync(error, cancellation)) { Meter = new AnswerMeter("m", "sha256:0", new RequestCost(7, 9, 1, 1)) };
        using (MeteredAnswer metered = await Admission.WithoutLimitsAsync(new Caller(new TenantId("acme"), "key"), answer, results.Add))
        {
            ApiException? thrown = await Record.ExceptionAsync(async () => await metered.RunAsync(CancellationToken.None).GetAsyncEnumerator().MoveNextAsync()) as ApiException;
            Assert.Equal(error.Length > 0, thrown is not null);
        }

        Assert.Equal([expected], results);
    }

    private static async IAsyncEnumerable<byte[]> RunAsync(string error, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await Task.Yield();
        cancellation.ThrowIfCancellationRequested();
        if (error.Length > 0)
        {
            throw (error == "overloaded" ? ApiError.Overloaded("full") : ApiError.Unavailable("lost")).AsException();
        }

        yield break;
    }
}
