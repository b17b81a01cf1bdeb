using Lamina.Cluster.Messages;
using Lamina.Coordinator.Access;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Api;

/// <summary>
/// On whose behalf a request runs. Decided once, before any endpoint, from the credential and nothing else; endpoints reach models only through it.
/// </summary>
/// <param name="Key">Id of the API key, which stays when the key is rotated; null for the local user of a loopback address.</param>
public sealed record Caller(TenantId Tenant, string? Key, KeyScopes Scopes = KeyScopes.Inference | KeyScopes.Usage)
{
    public static Caller Of(HttpContext context) =>
        context.Features.Get<Caller>() ?? throw new InvalidOperationException("no caller was resolved before the endpoint");
}
