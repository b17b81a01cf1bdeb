using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Requests;
using Lamina.Coordinator.Api.Resumption;

namespace Lamina.Coordinator.Tests.Api.Resumption;

/// <summary>The name and seed of an answer under an Idempotency-Key: the same at every coordinator, another for anything else.</summary>
public sealed class AnswerOriginTests
{
    private static readonly Caller s_caller = new(new TenantId("acme"), "k1");

    [Fact]
    public void Of_SameCallerKeyAndRequest_IsTheSame() => Assert.Equal(AnswerOrigin.Of(s_caller, "a", [1, 2]), AnswerOrigin.Of(s_caller with { }, "a", [1, 2]));

    [Fact]
    public void Of_AnyPartDiffers_IsAnother()
    {
        AnswerOrigin[] origins =
        [
            AnswerOrigin.Of(s_caller, "a", [1, 2]),
            AnswerOrigin.Of(s_caller, "b", [1, 2]),
            AnswerOrigin.Of(s_caller, "a", [1, 3]),
            AnswerOrigin.Of(s_caller with { Key = "k2" }, "a", [1, 2]),
            AnswerOrigin.Of(s_caller with { Key = null }, "a", [1, 2]),
            AnswerOrigin.Of(s_caller with { Tenant = new TenantId("acm"), Key = "ek1" }, "a", [1, 2]),
            AnswerOrigin.Of(s_caller with { Key = "k1a" }, "", [1, 2]),
        ];

        Assert.Equal(origins.Length, origins.Select(origin => origin.Id).Distinct().Count());
        Assert.Equal(origins.Length, origins.Select(origin => origin.Seed).Distinct().Count());
    }

    [Fact]
    public void Seeded_RequestWithASeed_KeepsIt()
    {
        var options = new GenerationOptions { Model = "m" };

        Assert.Equal(5, new AnswerOrigin(Guid.Empty, 9).Seeded(options with { Seed = 5 }).Seed);
        Assert.Equal(-1, new AnswerOrigin(Guid.Empty, ulong.MaxValue).Seeded(options).Seed);
    }
}
