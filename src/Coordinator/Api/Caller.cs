using Lamina.Cluster.Messages;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>On whose behalf a request runs. Decided once, before any endpoint; endpoints reach models only through it.</summary>
/// <param name="Key">Name of the API key, or null for the local user of a loopback address.</param>
public sealed record Caller(TenantId Tenant, string? Key)
{
    public static Caller Of(HttpContext context) =>
        context.Features.Get<Caller>() ?? throw new InvalidOperationException("no caller was resolved before the endpoint");
}
