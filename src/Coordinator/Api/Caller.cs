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
    /// <summary>True for what a connection is still owed when the coordinator refuses all else because it is about to end.</summary>
    public bool IsOwedAnAnswer { get; init; }

    /// <summary>Who it is, whatever the connection is owed.</summary>
    public bool Equals(Caller? other) => other is not null && Tenant == other.Tenant && Key == other.Key && Scopes == other.Scopes;

    public override int GetHashCode() => HashCode.Combine(Tenant, Key, Scopes);

    public static Caller Of(HttpContext context) =>
        context.Features.Get<Caller>() ?? throw new InvalidOperationException("no caller was resolved before the endpoint");
}
